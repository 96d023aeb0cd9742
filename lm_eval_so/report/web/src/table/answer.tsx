/** What one cell answered, on two lines. */
import { EMPTY, REFUSED, TRUNCATED } from '../data/columns'
import { differences, fromFirstDifference, type Piece } from '../data/difference'
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
  if (!reference || reference.status !== 'ok' || result.status !== 'ok') {
    return [{ kind: 'same', text: cut(text) }]
  }
  const found = kept.get(result)
  if (found?.reference === reference) return found.pieces
  const pieces = changed(answerText(reference), text)
  kept.set(result, { reference, pieces })
  return pieces
}

/** Compares from shortly before the first character that differs: long answers cost no more. */
function changed(reference: string, text: string): Piece[] {
  let same = 0
  const most = Math.min(reference.length, text.length)
  while (same < most && reference[same] === text[same]) same++
  const from = same > 3 * BEFORE ? text.lastIndexOf(' ', same - 1 - BEFORE) + 1 : 0
  const start = from > same - 3 * BEFORE ? from : same - BEFORE
  const begin = Math.max(0, from === 0 ? 0 : start)
  const pieces = differences(
    reference.slice(begin, begin + SHOWN),
    text.slice(begin, begin + SHOWN),
  ) ?? [{ kind: 'added', text: text.slice(begin, begin + SHOWN) } as Piece]
  const lead: Piece[] = begin > 0 ? [{ kind: 'same', text: '…' }] : []
  return fromFirstDifference([...lead, ...pieces], BEFORE)
}

/** The words of an answer, those that differ from the reference marked. */
export function Pieces({ pieces }: { pieces: readonly Piece[] }) {
  return (
    <>
      {pieces.map((piece, at) => {
        if (piece.kind === 'same') return piece.text
        if (piece.kind === 'gone') return <span key={at} class="gone" />
        return <mark key={at}>{piece.text}</mark>
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
