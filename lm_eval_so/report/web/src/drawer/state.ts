/** How the drawer shows answers; kept in this browser. */
import { signal } from '@preact/signals'
import { keep, kept } from '../text'

export const asMarkdown = signal(kept('lm-eval-so.markdown') === 'yes')
export const withMarks = signal(kept('lm-eval-so.marks') !== 'no')

export function toggleMarkdown(): void {
  asMarkdown.value = !asMarkdown.value
  keep('lm-eval-so.markdown', asMarkdown.value ? 'yes' : 'no')
}

export function toggleMarks(): void {
  withMarks.value = !withMarks.value
  keep('lm-eval-so.marks', withMarks.value ? 'yes' : 'no')
}
