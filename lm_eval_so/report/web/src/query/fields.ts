/** The fields of the query language. */

export type Kind = 'substring' | 'word' | 'number' | 'time' | 'is'

/** Told by the row alone. `meta.<name>` is one more. */
export const ROW_FIELDS: Readonly<Record<string, Kind>> = {
  id: 'substring',
  tag: 'word',
  text: 'substring',
  expected: 'substring',
  is: 'is',
}

/** Told by one result. `score.<name>` is one more. */
export const RESULT_FIELDS: Readonly<Record<string, Kind>> = {
  status: 'word',
  error: 'word',
  finish: 'word',
  latency: 'time',
  first: 'time',
  input: 'number',
  output: 'number',
  cost: 'number',
  length: 'number',
  attempts: 'number',
  cell: 'substring',
}

export const STATUSES = ['owed', 'ok', 'error', 'timeout']
export const IS = ['different', 'failed', 'truncated', 'refused', 'empty', 'owed']

/** The kind of a field; null where there is no such field. */
export function kindOf(field: string): Kind | null {
  if (field.startsWith('meta.') && field.length > 5) return 'word'
  if (field.startsWith('score.') && field.length > 6) return 'number'
  return own(ROW_FIELDS, field) ?? own(RESULT_FIELDS, field)
}

export function isOfResult(field: string): boolean {
  return field.startsWith('score.') || own(RESULT_FIELDS, field) !== null
}

function own(fields: Readonly<Record<string, Kind>>, name: string): Kind | null {
  return Object.hasOwn(fields, name) ? (fields[name] ?? null) : null
}
