/** Which words of an answer differ from the reference's. */
import { diffArrays } from 'diff'

/** `gone`: words that only the reference has. `whole`: nearly nothing is common. */
export interface Piece {
  kind: 'same' | 'added' | 'gone' | 'whole'
  text: string
}

/** Edits after which two texts are two texts: marks would say nothing, and cost grows with the square. */
const MOST_EDITS = 1500
/** And however many: a page must not stand still. */
const TIMEOUT_MS = 25
/** Characters of a text beyond which its words are not compared. */
const LONGEST = 40_000

const segmenter = new Intl.Segmenter(undefined, { granularity: 'word' })

/** Words, spaces and signs; Korean, Japanese and Chinese by their own rules. */
export function words(text: string): string[] {
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

/** Null where the texts are too long or too different to mark words. */
export function differences(reference: string, text: string): Piece[] | null {
  if (reference === text) return [{ kind: 'same', text }]
  if (reference.length > LONGEST || text.length > LONGEST) return null
  const changes = diffArrays(words(reference), words(text), {
    maxEditLength: MOST_EDITS,
    timeout: TIMEOUT_MS,
  })
  if (!changes) return null
  const pieces = changes.map(
    ({ added, removed, value }): Piece => ({
      kind: added ? 'added' : removed ? 'gone' : 'same',
      text: value.join(''),
    }),
  )
  return joined(pieces)
}

const NO_WORD = /^[\s\p{P}]*$/u

/** Changes with nothing but spaces or signs between them are one change: removed, then added. */
function joined(pieces: readonly Piece[]): Piece[] {
  const found: Piece[] = []
  let [gone, added] = ['', '']
  const flush = () => {
    if (gone) found.push({ kind: 'gone', text: gone })
    if (added) found.push({ kind: 'added', text: added })
    gone = ''
    added = ''
  }
  pieces.forEach((piece, at) => {
    const between = at > 0 && at < pieces.length - 1 && NO_WORD.test(piece.text)
    if (piece.kind === 'gone') gone += piece.text
    else if (piece.kind === 'added') added += piece.text
    else if (between && gone && added) {
      gone += piece.text
      added += piece.text
    } else {
      flush()
      found.push(piece)
    }
  })
  flush()
  return found
}

/** The share of the answer's characters that the reference has too, from 0 to 1. */
export function sharedPart(pieces: readonly Piece[]): number {
  let [same, all] = [0, 0]
  for (const { kind, text } of pieces) {
    if (kind !== 'gone') all += text.length
    if (kind === 'same') same += text.length
  }
  return all === 0 ? 0 : same / all
}

/** Shortens equal text before the first difference, so that a line shows the difference. */
export function fromFirstDifference(pieces: readonly Piece[], before: number): Piece[] {
  const [first, ...rest] = pieces
  if (first?.kind !== 'same' || rest.length === 0 || first.text.length <= 2 * before) {
    return [...pieces]
  }
  const tail = first.text.slice(-before)
  const cut = tail.search(/[\s,.;:]/)
  return [{ kind: 'same', text: `…${cut < 0 ? tail : tail.slice(cut + 1)}` }, ...rest]
}
