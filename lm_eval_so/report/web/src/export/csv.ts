/** CSV as spreadsheets read it: UTF-8 with a BOM, CRLF, nothing that runs. */
import type { Sheet, Value } from './rows'

const BOM = '\uFEFF'
/** A text that begins so is a formula to a spreadsheet; a leading apostrophe makes it text. */
const FORMULA = /^[=+\-@\t\r]/

export function csvField(value: Value): string {
  if (value === null) return ''
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : ''
  const text = FORMULA.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

export function csvOf({ header, lines }: Sheet): string {
  return BOM + [header, ...lines].map((line) => `${line.map(csvField).join(',')}\r\n`).join('')
}
