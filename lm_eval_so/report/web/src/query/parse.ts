/**
 * The query language, as a list of groups: all groups must hold, in a group any term.
 *
 *   query := group { " " group }        group := term { " OR " term }
 *   term  := ["-"] ( word | '"' words '"' | field op value )
 *   op    := ":" | "=" | ">" | ">=" | "<" | "<="
 *
 * A word alone is `text:word`. A quote in quoted words is written \".
 */
import { IS, kindOf, STATUSES } from './fields'

export type Op = ':' | '=' | '>' | '>=' | '<' | '<='

export interface Term {
  negated: boolean
  field: string
  op: Op
  /** Lower case, Unicode NFC. */
  value: string
  /** The value of numbers; times in milliseconds. */
  number: number
}

export type Query = Term[][]

/** Why a query cannot be read: a key of the page's words, and their values. */
export class QueryError extends Error {
  constructor(
    readonly reason: 'orphan' | 'quote' | 'field' | 'value' | 'number' | 'one_of' | 'compare',
    readonly values: Record<string, string>,
  ) {
    super(`${reason} ${JSON.stringify(values)}`)
  }
}

interface Token {
  text: string
  /** Where quoted words begin in it, or -1. */
  quoted: number
}

const FIELD = /^([\p{L}_][^\s:<>="]*)(>=|<=|:|=|>|<)/u

function tokens(text: string): Token[] {
  const found: Token[] = []
  let at = 0
  while (at < text.length) {
    if (/\s/.test(text[at] as string)) {
      at++
      continue
    }
    const token: Token = { text: '', quoted: -1 }
    while (at < text.length && !/\s/.test(text[at] as string)) {
      const opens = text[at] === '"' && (/^-?$/.test(token.text) || endsWithOp(token.text))
      if (!opens || token.quoted >= 0) {
        token.text += text[at++]
        continue
      }
      token.quoted = token.text.length
      at = quotedWords(text, at + 1, token)
    }
    found.push(token)
  }
  return found
}

function endsWithOp(text: string): boolean {
  const match = FIELD.exec(text.replace(/^-/, ''))
  return match !== null && match[0].length === text.replace(/^-/, '').length
}

/** Reads to the closing quote; where the reading goes on. */
function quotedWords(text: string, from: number, token: Token): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\' && (text[at + 1] === '"' || text[at + 1] === '\\'))
      token.text += text[++at]
    else if (text[at] === '"') return at + 1
    else token.text += text[at]
  }
  throw new QueryError('quote', { text: text.slice(from - 1) })
}

export function fold(text: string): string {
  return text.normalize('NFC').toLowerCase()
}

function term(token: Token): Term {
  const negated = token.text.startsWith('-') && token.text.length > 1 && token.quoted !== 0
  const text = negated ? token.text.slice(1) : token.text
  const quoted = token.quoted - (negated ? 1 : 0)
  const match = quoted === 0 ? null : FIELD.exec(text)
  if (!match) return { negated, field: 'text', op: ':', value: fold(text), number: NaN }
  const written = match[1] as string
  // Names of metadata and scores are case-sensitive, the language's own are not.
  const field = written.includes('.')
    ? written.replace(/^[^.]+/, (head) => head.toLowerCase())
    : written.toLowerCase()
  const read = { negated, field, op: match[2] as Op, value: fold(text.slice(match[0].length)) }
  return { ...read, number: checked(read, text) }
}

/** The number of a term that compares numbers. Throws where field, operator and value do not fit. */
function checked(read: Omit<Term, 'number'>, text: string): number {
  const { field, op, value } = read
  const kind = kindOf(field)
  if (kind === null) throw new QueryError('field', { field, text })
  if (value === '') throw new QueryError('value', { field })
  if (kind === 'number' || kind === 'time') {
    const number = kind === 'time' ? milliseconds(value) : plain(value)
    if (Number.isNaN(number)) throw new QueryError('number', { field, value })
    return number
  }
  const allowed = field === 'status' ? STATUSES : kind === 'is' ? IS : null
  if (allowed && !allowed.includes(value)) {
    throw new QueryError('one_of', { field, value, allowed: allowed.join(', ') })
  }
  if (op === ':' || op === '=') return NaN
  if (!field.startsWith('meta.')) throw new QueryError('compare', { field, op })
  const number = plain(value)
  if (Number.isNaN(number)) throw new QueryError('number', { field, value })
  return number
}

const PLAIN = /^\$?(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([km]?)$/
const TIME = /^(\d+\.?\d*|\.\d+)(ms|s|min|m|h)?$/
const SCALE: Record<string, number> = { '': 1, k: 1e3, m: 1e6 }
const UNIT: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, min: 6e4, h: 36e5 }

function plain(value: string): number {
  const match = PLAIN.exec(value)
  return match ? Number(match[1]) * (SCALE[match[2] as string] as number) : NaN
}

/** Milliseconds; a number without a unit is milliseconds. */
function milliseconds(value: string): number {
  const match = TIME.exec(value)
  return match ? Number(match[1]) * (UNIT[match[2] ?? 'ms'] as number) : NaN
}

/** Throws QueryError. */
export function parse(text: string): Query {
  const query: Query = []
  let joins = false
  for (const token of tokens(text)) {
    if (token.text === 'OR' && token.quoted < 0) {
      if (joins || query.length === 0) throw new QueryError('orphan', {})
      joins = true
      continue
    }
    const next = term(token)
    if (joins) query.at(-1)?.push(next)
    else query.push([next])
    joins = false
  }
  if (joins) throw new QueryError('orphan', {})
  return query
}
