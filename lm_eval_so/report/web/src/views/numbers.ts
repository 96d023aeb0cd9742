/** More ways to write numbers and times, in the page's language. */
import { locale } from '../text'

/** To three digits: 0.0123, 4.57, 1,230. */
export function number(value: number): string {
  if (Number.isNaN(value)) return '–'
  return value.toLocaleString(locale.value, { maximumSignificantDigits: 3 })
}

/** The same with its sign: +0.12, −3, 0. */
export function signed(value: number): string {
  if (Number.isNaN(value)) return '–'
  return value
    .toLocaleString(locale.value, { maximumSignificantDigits: 3, signDisplay: 'exceptZero' })
    .replace('-', '−')
}

/** A share from 0 to 1 as a percentage; not rounded up to all or down to none. */
export function share(value: number): string {
  if (Number.isNaN(value)) return '–'
  const digits = value > 0 && value < 1 && (value < 0.1 || value > 0.9) ? 1 : 0
  const shown = value < 1 ? Math.min(value, digits ? 0.999 : 0.99) : value
  return shown.toLocaleString(locale.value, { style: 'percent', maximumFractionDigits: digits })
}

/** For an axis: 500 ms, 1.5 s, 80 s, 3 min, 3 h. */
export function shortDuration(ms: number): string {
  const seconds = ms / 1000
  const of = (value: number, unit: string) => `${number(value)} ${unit}`
  if (ms !== 0 && seconds < 1) return of(ms, 'ms')
  if (seconds < 180 && seconds % 60 !== 0) return of(seconds, 's')
  if (seconds < 60) return of(seconds, 's')
  if (seconds < 3600) return of(seconds / 60, 'min')
  return of(seconds / 3600, 'h')
}

/** A probability: 0.034, "< 0.001". */
export function probability(p: number): string {
  const least = 0.001
  const written = (value: number) =>
    value.toLocaleString(locale.value, { maximumSignificantDigits: 2 })
  return p < least ? `< ${written(least)}` : written(p)
}

export function moment(iso: string): string {
  const time = new Date(iso)
  if (Number.isNaN(time.getTime())) return iso
  return time.toLocaleString(locale.value, { dateStyle: 'medium', timeStyle: 'medium' })
}

/** A name of a setting's value as people type it. */
export function plain(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value ?? null)
}
