// Writes ../page/sources.sha256: which sources the page was built from, and the files it consists of.
// tests/report/test_page_sources.py computes the same.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'

const SINGLE = ['package-lock.json', 'tsconfig.json', 'vite.config.ts']

function filesBelow(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`],
  )
}

const paths = [...SINGLE, ...filesBelow('src')].sort()
const digest = createHash('sha256')
for (const path of paths) {
  digest.update(`${path}\0`)
  digest.update(readFileSync(path))
  digest.update('\0')
}
const lines = [`${digest.digest('hex')}  sources`]
for (const name of ['page.css', 'page.js']) {
  const content = readFileSync(`../page/${name}`)
  lines.push(`${createHash('sha256').update(content).digest('hex')}  ${name}`)
}
writeFileSync('../page/sources.sha256', `${lines.join('\n')}\n`)
