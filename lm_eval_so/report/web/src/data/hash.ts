/** What a person chose, as the hash of an address: links and reloads bring it back. */

export type View = 'table' | 'charts' | 'provenance' | 'compare'
const VIEWS: readonly string[] = ['table', 'charts', 'provenance', 'compare']

export interface Choice {
  query: string
  chips: readonly string[]
  tags: readonly string[]
  fields: ReadonlyMap<string, readonly string[]>
  list: string
  /** Null: all. */
  cells: readonly number[] | null
  reference: number
  sort: string
  view: View
  sample: string | null
  /** Which of the rows that share the sample's id, from 1. */
  nth: number
}

const list = (values: readonly (string | number)[]) =>
  values.map((value) => encodeURIComponent(value)).join(',')
const unlisted = (text: string | undefined) => (text ? text.split(',').map(decoded) : [])

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export function writeHash(choice: Choice): string {
  const parts: string[] = []
  const add = (key: string, value: string) => value && parts.push(`${key}=${value}`)
  add('q', encodeURIComponent(choice.query))
  add('chip', list(choice.chips))
  add('tags', list(choice.tags))
  for (const [name, values] of choice.fields) {
    add(`meta.${encodeURIComponent(name)}`, list(values))
  }
  add('list', encodeURIComponent(choice.list))
  if (choice.cells) add('cells', list(choice.cells))
  if (choice.reference > 0) add('ref', String(choice.reference))
  add('sort', encodeURIComponent(choice.sort))
  if (choice.view !== 'table') add('view', choice.view)
  if (choice.sample !== null) parts.push(`sample=${encodeURIComponent(choice.sample)}`)
  if (choice.nth > 1) add('nth', String(choice.nth))
  return parts.length > 0 ? `#${parts.join('&')}` : ''
}

export function readHash(hash: string): Choice {
  const given = new Map<string, string>()
  for (const part of hash.replace(/^#/, '').split('&')) {
    const equals = part.indexOf('=')
    if (equals > 0) given.set(decoded(part.slice(0, equals)), part.slice(equals + 1))
  }
  const whole = (key: string, otherwise: number) => {
    const value = Number(given.get(key))
    return Number.isInteger(value) && value >= 0 && given.has(key) ? value : otherwise
  }
  const fields = new Map<string, string[]>()
  for (const [key, value] of given) {
    if (key.startsWith('meta.')) fields.set(key.slice(5), unlisted(value))
  }
  const view = given.get('view') ?? ''
  const cells = given.has('cells') ? unlisted(given.get('cells')).map(Number) : null
  const sample = given.get('sample')
  return {
    query: decoded(given.get('q') ?? ''),
    chips: unlisted(given.get('chip')),
    tags: unlisted(given.get('tags')),
    fields,
    list: decoded(given.get('list') ?? ''),
    cells: cells?.every(Number.isInteger) ? cells : null,
    reference: whole('ref', 0),
    sort: decoded(given.get('sort') ?? ''),
    view: (VIEWS.includes(view) ? view : 'table') as View,
    sample: sample === undefined ? null : decoded(sample),
    nth: Math.max(1, whole('nth', 1)),
  }
}
