/** Colours of the theme that is shown, for canvases, which know no CSS variables. */
import { signal } from '@preact/signals'

export const CELL_COLOURS = 8

function themeNow(): string {
  return document.documentElement.dataset.theme ?? 'light'
}

/** Changes whenever the page's theme does. */
export const themeShown = signal(themeNow())

new MutationObserver(() => {
  themeShown.value = themeNow()
}).observe(document.documentElement, { attributeFilter: ['data-theme'] })

/** The value of a variable of theme.css, such as "--line". */
export function colour(variable: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(variable).trim()
}

export function cellColour(cell: number): string {
  return colour(`--cell-${cell % CELL_COLOURS}`)
}
