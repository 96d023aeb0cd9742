/** Numbers as a person reads them, in the page's language. */
import { locale } from './text'

const unknown = '–'

export function count(value: number): string {
  return value.toLocaleString(locale.value)
}

/** Milliseconds as 480 ms, 1.2 s, 3 min 5 s. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return unknown
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

/** US dollars with as many digits as say something. */
export function cost(usd: number | null | undefined): string {
  if (usd === null || usd === undefined || Number.isNaN(usd)) return unknown
  if (usd === 0) return '$0'
  if (usd >= 1) return `$${usd.toFixed(2)}`
  return `$${Number(usd.toPrecision(2)).toFixed(Math.min(8, 1 - Math.floor(Math.log10(usd))))}`
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return unknown
  const share = (100 * part) / whole
  return `${share > 0 && share < 10 ? share.toFixed(1) : Math.round(share)}%`
}
