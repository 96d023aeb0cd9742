/** The keys of the page, where nothing is open above it. */

import { matching } from './filters/matching'
import { frame } from './frame'
import { helpIsOpen, toggleCards } from './frame_state'
import { chips, clearFilters, reference, toggled, VIEWS, view } from './state'
import { activate, active, openActive, tableCells, toggleExpanded } from './table/state'
import { firstInSight, isInSight, show } from './table/virtual'

/** Rows of a step of Page Up and Page Down. */
const PAGE = 15
/** Where a step begins: the active row, or, once it is scrolled away, the first in sight. */
function stepFrom(by: number): number {
  const at = active.peek()
  return isInSight(at) ? at : firstInSight() - Math.sign(by)
}

function step(by: number): void {
  activate(stepFrom(by) + by)
  // Now, and not with the next frame: the next key may come before.
  show(active.peek())
  document.getElementById('grid')?.focus({ preventScroll: true })
}

function nextReference(): void {
  const cells = [...tableCells.peek()].sort((a, b) => a - b)
  const at = cells.indexOf(reference.peek())
  reference.value = cells[(at + 1) % cells.length] ?? 0
}

/** Keys that work wherever the focus is, but in a field. */
const ANYWHERE: Readonly<Record<string, () => void>> = {
  '?': () => {
    helpIsOpen.value = true
  },
  '/': () => {
    if (view.peek() !== 'charts') view.value = 'table'
    requestAnimationFrame(() => document.getElementById('query')?.focus())
  },
  x: clearFilters,
  c: toggleCards,
}

/** Keys of the table. */
const TABLE: Readonly<Record<string, () => void>> = {
  j: () => step(1),
  k: () => step(-1),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  PageDown: () => step(PAGE),
  PageUp: () => step(-PAGE),
  Home: () => {
    activate(0)
    frame.peek().scroller?.scrollTo({ top: 0 })
  },
  End: () => activate(matching.peek().length - 1),
  Enter: openActive,
  o: openActive,
  e: () => {
    const row = matching.peek()[active.peek()]
    if (row !== undefined) toggleExpanded(row)
  },
  d: () => {
    chips.value = toggled(chips.peek(), 'different')
  },
  f: () => {
    chips.value = toggled(chips.peek(), 'failed')
  },
  r: nextReference,
}

/** Keys that a control, once it has the focus, needs for itself. */
const OF_CONTROLS = ['Enter', ' ', 'ArrowDown', 'ArrowUp', 'Home', 'End']

function onKey(event: KeyboardEvent): void {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return
  if (document.querySelector('dialog[open]')) return
  const target = event.target as HTMLElement
  const isField = target.matches('input:not([type=checkbox]), select, textarea')
  if (isField) {
    if (event.key === 'Escape' || (event.key === 'Enter' && target.id === 'query')) {
      event.preventDefault()
      document.getElementById('grid')?.focus({ preventScroll: true })
    }
    return
  }
  const isControl = target.matches('button, summary, a, input')
  const viewAt = VIEWS[Number(event.key) - 1]
  const act = ANYWHERE[event.key] ?? (view.peek() === 'table' ? TABLE[event.key] : undefined)
  if (viewAt) view.value = viewAt
  else if (act && !(isControl && OF_CONTROLS.includes(event.key))) act()
  else return
  event.preventDefault()
}

/** Returns what ends it. */
export function listenToKeys(): () => void {
  document.addEventListener('keydown', onKey)
  return () => document.removeEventListener('keydown', onKey)
}
