import { defineConfig } from 'vitest/config'

// One classic script and one style sheet: the page is a single file whose CSP names their hashes.
export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  resolve: {
    alias: [
      { find: /^fflate$/, replacement: new URL('src/export/zip.ts', import.meta.url).pathname },
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
  test: { include: ['tests/**/*.test.ts'] },
})
