/** What one cell answered, on two lines. */
import { EMPTY, REFUSED, TRUNCATED } from '../data/columns'
import { differences, fromFirstDifference, type Piece, sharedPart } from '../data/difference'
import type { Result, Row } from '../data/types'
import { answerText } from '../data/words'
import { t } from '../text'

/** Characters of an answer that two lines can show. */
const SHOWN = 420
/** Characters before the first difference that stay. */
const BEFORE = 36

/** Word differences of the rows that were drawn last. */
const kept = new WeakMap<Result, { reference: Result; pieces: Piece[] }>()

function cut(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
}

function piecesOf(reference: Result | null, result: Result): Piece[] {
  const text = answerText(result)
  if (reference?.status !== 'ok' || result.status !== 'ok') {
    return [{ kind: 'same', text: cut(text) }]
  }
  const found = kept.get(result)
  if (found?.reference === reference) return found.pieces
  const pieces = changed(answerText(reference), text)
  kept.set(result, { reference, pieces })
  return pieces
}

/** Below this share of common text, marks on single words say nothing: all of it differs. */
const SHARED = 0.3

/** Where the comparison begins: shortly before the first character that differs. */
function startOf(reference: string, text: string): number {
  let same = 0
  const most = Math.min(reference.length, text.length)
  while (same < most && reference[same] === text[same]) same++
  if (same <= 3 * BEFORE) return 0
  const space = text.lastIndexOf(' ', same - BEFORE)
  return space > same - 2 * BEFORE ? space + 1 : same - BEFORE
}

function changed(reference: string, text: string): Piece[] {
  const start = startOf(reference, text)
  const shown = text.slice(start, start + SHOWN)
  const pieces = differences(reference.slice(start, start + SHOWN), shown)
  const lead: Piece[] = start > 0 ? [{ kind: 'same', text: '…' }] : []
  if (!pieces || (start === 0 && sharedPart(pieces) < SHARED)) {
    return [...lead, { kind: 'whole', text: shown }]
  }
  return [...lead, ...fromFirstDifference(pieces, BEFORE)]
}

/** The words of an answer, those that differ from the reference marked. */
export function Pieces({ pieces }: { pieces: readonly Piece[] }) {
  return (
    <>
      {pieces.map((piece, at) => {
        if (piece.kind === 'same') return piece.text
        if (piece.kind === 'whole') {
          return (
            <mark key={at} class="whole">
              {piece.text}
            </mark>
          )
        }
        if (piece.kind === 'added') return <mark key={at}>{piece.text}</mark>
        return pieces[at + 1]?.kind === 'added' ? null : <span key={at} class="gone" />
      })}
    </>
  )
}

export function Flags({ flags }: { flags: number }) {
  return (
    <>
      {(flags & TRUNCATED) > 0 && <span class="badge warn">{t('chip.truncated')}</span>}
      {(flags & REFUSED) > 0 && <span class="badge warn">{t('chip.refused')}</span>}
      {(flags & EMPTY) > 0 && <span class="badge warn">{t('chip.empty')}</span>}
    </>
  )
}

export function ErrorWords({ result }: { result: Result }) {
  return (
    <>
      <span class="badge failed">{result.error?.error_type ?? result.status}</span>
      <bdi>{(result.error?.message ?? '').slice(0, SHOWN)}</bdi>
    </>
  )
}

interface AnswerProps {
  row: Row
  slot: number
  /** The slot to compare with, or -1. */
  against: number
  /** The slot's answer equals the one it is compared with. */
  equal: boolean
  flags: number
}

export function Answer({ row, slot, against, equal, flags }: AnswerProps) {
  const result = row.results[slot]
  if (!result) return <span class="badge owed">{t('owed')}</span>
  if (result.status !== 'ok') return <ErrorWords result={result} />
  if (equal) {
    return (
      <>
        <Flags flags={flags} />
        <span class="equal">{t('same')}</span>
      </>
    )
  }
  const reference = against >= 0 ? (row.results[against] ?? null) : null
  return (
    <>
      <Flags flags={flags} />
      <bdi>
        <Pieces pieces={piecesOf(reference, result)} />
      </bdi>
    </>
  )
}
