/** Excel: every text a string, so that none is a formula. */
import writeExcel, { type SheetData } from 'write-excel-file/browser'
import type { Sheet, Value } from './rows'

/** Characters that a cell of Excel takes. */
const MOST = 32_767
/** What XML cannot hold. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what has to go
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g

export function excelText(text: string): string {
  const clean = text.replace(FORBIDDEN, '\ufffd').replace(/\p{Surrogate}/gu, '\ufffd')
  return clean.length > MOST ? `${clean.slice(0, MOST - 1)}…` : clean
}

function cellOf(value: Value) {
  if (value === null) return null
  if (typeof value === 'number') return Number.isFinite(value) ? { value, type: Number } : null
  return { value: excelText(value), type: String }
}

export async function excelOf({ header, lines }: Sheet): Promise<Blob> {
  const head = header.map((name) => ({
    value: excelText(name),
    type: String,
    fontWeight: 'bold' as const,
  }))
  const data = [head, ...lines.map((line) => line.map(cellOf))] as SheetData
  const columns = header.map((_, at) => ({ width: at < 2 ? 18 : 40 }))
  return await writeExcel(data, { columns, stickyRowsCount: 1, sheet: 'answers' }).toBlob()
}
