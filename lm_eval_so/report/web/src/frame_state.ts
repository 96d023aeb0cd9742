/** What is open around the table. */
import { signal } from '@preact/signals'
import { keep, kept } from './text'

export const helpIsOpen = signal(false)
/** The cells stand above the view as cards, not in short; kept in this browser. */
export const withCards = signal(kept('lm-eval-so.cards') === 'yes')

export function toggleCards(): void {
  withCards.value = !withCards.value
  keep('lm-eval-so.cards', withCards.value ? 'yes' : 'no')
}
