import { defineConfig } from 'vitest/config'

// Parts of write-excel-file that do not fit a page with a policy, or texts of any kind.
const own = (name: string) => new URL(`src/export/${name}.ts`, import.meta.url).pathname

// One classic script and one style sheet: the page is a single file whose CSP names their hashes.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: [
      { find: /^fflate$/, replacement: own('zip') },
      { find: /^.*\/initializeSharedStrings\.js$/, replacement: own('shared_strings') },
    ],
  },
  build: {
    outDir: '../page',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    cssCodeSplit: false,
    sourcemap: false,
    reportCompressedSize: false,
    rolldownOptions: {
      input: 'src/main.tsx',
      output: {
        format: 'iife',
        entryFileNames: 'page.js',
        assetFileNames: 'page.[ext]',
        codeSplitting: false,
      },
    },
  },
  test: {
    include: ['tests/**/*.test.ts'],
    server: { deps: { inline: ['write-excel-file'] } },
  },
})
