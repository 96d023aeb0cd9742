import '@preact/signals'
import './theme.css'
import './app.css'
import './drawer/drawer.css'
import './table/table.css'
import { batch, computed, effect } from '@preact/signals'
import { render } from 'preact'
import { App } from './app'
import { type Board, sourceOf } from './data/source'
import { followQuery } from './filters/matching'
import { frame } from './frame'
import { bindHash, board, failure, nthOf, openRow, rowFrom, source } from './state'
import { locale, theme } from './text'

const dark = matchMedia('(prefers-color-scheme: dark)')

const printing = computed(() => frame.value.printing)

/** Paper is white, and browsers print no backgrounds. */
function applyTheme(): void {
  const asked = theme.value === 'auto' ? (dark.matches ? 'dark' : 'light') : theme.value
  const chosen = printing.value ? 'light' : asked
  document.documentElement.dataset.theme = chosen
}

/** Shows newer data; rows may have moved, and the sample that is open stays open. */
function replaceBoard(newer: Board): void {
  const open = board.value?.ids[openRow.value]
  const nth = open === undefined ? 1 : nthOf(openRow.value)
  batch(() => {
    board.value = newer
    if (open !== undefined) openRow.value = rowFrom(open, nth)
  })
}

async function start(root: HTMLElement): Promise<void> {
  const from = sourceOf(root)
  source.value = from
  render(<App />, root)
  try {
    board.value = await from.load()
  } catch (error) {
    failure.value = error instanceof Error ? error.message : String(error)
    return
  }
  bindHash()
  followQuery()
  document.title = board.value.manifest.title
  from.follow(async () => {
    const newer = await from.load().catch(() => null)
    if (newer) replaceBoard(newer)
  })
}

effect(applyTheme)
dark.addEventListener('change', applyTheme)
effect(() => {
  document.documentElement.lang = locale.value
})
const root = document.getElementById('app')
if (root) void start(root)
