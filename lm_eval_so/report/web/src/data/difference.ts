/** Which words of an answer differ from the reference's. */
import { diffArrays } from 'diff'

/** `gone`: words that only the reference has. */
export interface Piece {
  kind: 'same' | 'added' | 'gone'
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
  return changes.map(({ added, removed, value }) => ({
    kind: added ? 'added' : removed ? 'gone' : 'same',
    text: value.join(''),
  }))
}

/**
 * The pieces from shortly before the first difference on, so that a line shows it.
 * What is left out is said by "…".
 */
export function fromFirstDifference(pieces: readonly Piece[], before: number): Piece[] {
  const [first, ...rest] = pieces
  if (first?.kind !== 'same' || rest.length === 0 || first.text.length <= 2 * before) {
    return [...pieces]
  }
  const tail = first.text.slice(-before)
  const cut = tail.search(/[\s,.;:]/)
  return [{ kind: 'same', text: `…${cut < 0 ? tail : tail.slice(cut + 1)}` }, ...rest]
}
