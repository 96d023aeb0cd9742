/** Text terms, answered block by block. */
import type { Source } from '../data/source'
import type { Message, Row } from '../data/types'
import { contentText, plainly } from '../data/words'
import { sameText, sameValue } from './evaluate'
import { fold, type Term } from './parse'

/** How long the search works before the page may draw, in milliseconds. */
const SLICE_MS = 12
/** How often it says what it has found: each time, all rows are looked through. */
const SAY_MS = 200

function messagesText(messages: readonly Message[]): string {
  return messages.map((message) => contentText(message.content)).join('\n')
}

/** What `text:` searches: the messages and the answers. */
export function textOf(row: Row): string {
  const parts = [messagesText(row.messages)]
  for (const result of row.results) {
    if (result?.text) parts.push(result.text)
    if (result?.messages) parts.push(messagesText(result.messages))
  }
  return parts.join('\n')
}

/** Whether a text term holds for a row. The text is folded once for all terms. */
export function holdsInText(term: Term, row: Row, folded: () => string): boolean {
  const { field } = term
  if (field.startsWith('meta.')) {
    // A name from data: "constructor" must not find what every object has.
    const [metadata, name] = [row.metadata ?? {}, field.slice(5)]
    const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined
    return sameValue(term, value) !== term.negated
  }
  if (field === 'expected') return sameText(term, plainly(row.expected)) !== term.negated
  return folded().includes(term.value) !== term.negated
}

export interface Search {
  terms: readonly Term[]
  /** A byte a row and term: 0 unknown, 1 no, 2 yes. */
  found: Uint8Array[]
}

/** Reads blocks and fills `search.found`; calls back now and then with the blocks done. */
export async function runSearch(
  search: Search,
  source: Source,
  blocks: readonly number[],
  blockRows: number,
  onFound: (done: number) => void,
  isOver: () => boolean,
): Promise<void> {
  let since = performance.now()
  let said = since
  for (let n = 0; n < blocks.length && !isOver(); n++) {
    const block = blocks[n] as number
    const rows = await source.block(block)
    rows.forEach((row, at) => {
      searchRow(search, row, block * blockRows + at)
    })
    if (performance.now() - since < SLICE_MS) continue
    if (performance.now() - said > SAY_MS) {
      onFound(n + 1)
      said = performance.now()
    }
    await new Promise((resolve) => setTimeout(resolve))
    since = performance.now()
  }
  if (!isOver()) onFound(blocks.length)
}

function searchRow(search: Search, row: Row, number: number): void {
  let kept: string | null = null
  const folded = () => {
    kept ??= fold(textOf(row))
    return kept
  }
  search.terms.forEach((term, at) => {
    const found = search.found[at]
    if (found) found[number] = holdsInText(term, row, folded) ? 2 : 1
  })
}
