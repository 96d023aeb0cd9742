/** What is open around the table. */
import { signal } from '@preact/signals'
import { keep, kept } from './text'

export const helpIsOpen = signal(false)
/** The cards of the cells stand above the table; kept in this browser. */
export const withCells = signal(kept('lm-eval-so.cells') !== 'no')

export function toggleCells(): void {
  withCells.value = !withCells.value
  keep('lm-eval-so.cells', withCells.value ? 'yes' : 'no')
}
