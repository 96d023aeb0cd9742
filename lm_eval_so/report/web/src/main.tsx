import '@preact/signals'
import './theme.css'
import './app.css'
import { effect } from '@preact/signals'
import { render } from 'preact'
import { App } from './app'
import { sourceOf } from './data/source'
import { bindHash, board, failure, source } from './state'
import { locale, theme } from './text'

const dark = matchMedia('(prefers-color-scheme: dark)')

function applyTheme(): void {
  const chosen = theme.value === 'auto' ? (dark.matches ? 'dark' : 'light') : theme.value
  document.documentElement.dataset.theme = chosen
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
  document.title = board.value.manifest.title
  from.follow(async () => {
    const newer = await from.load().catch(() => null)
    if (newer) board.value = newer
  })
}

effect(applyTheme)
dark.addEventListener('change', applyTheme)
effect(() => {
  document.documentElement.lang = locale.value
})
const root = document.getElementById('app')
if (root) void start(root)
