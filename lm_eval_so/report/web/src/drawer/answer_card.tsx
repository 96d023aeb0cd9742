/** One result at full length: what was said, how it came about, and what a person thinks of it. */

import type { CSSProperties } from 'preact'
import { CellName } from '../cell_names'
import { differences, type Piece, SHARED, sharedPart } from '../data/difference'
import type { Cell, Result, Row } from '../data/types'
import { answerText } from '../data/words'
import { cost, count, duration } from '../format'
import { board } from '../state'
import { Flags } from '../table/answer'
import { cellColour, referenceCell } from '../table/state'
import { t } from '../text'
import { Conversation, Text, ToolCalls } from './conversation'
import { Copy } from './copy'
import { curlOf } from './curl'
import { Fold } from './fold'
import { LongText } from './long_text'
import { NoteBox } from './note_box'
import { asMarkdown, withMarks } from './state'
import { Timeline } from './timeline'

function Failed({ result }: { result: Result }) {
  const { error } = result
  return (
    <div class="failure">
      <p>
        <span class="badge failed">{error?.error_type ?? result.status}</span>
        {error?.status_code ? <span class="badge plain">HTTP {error.status_code}</span> : null}
        {error?.retryable === false && <span class="badge plain">{t('not_retryable')}</span>}
      </p>
      <LongText text={error?.message ?? ''} />
      {error?.details !== null && error?.details !== undefined && (
        <Fold label={t('details')}>
          {() => <LongText text={JSON.stringify(error.details, null, 2)} />}
        </Fold>
      )}
    </div>
  )
}

function piecesOf(reference: Result | null, result: Result): Piece[] | null {
  if (!withMarks.value || !reference || reference === result || reference.status !== 'ok')
    return null
  const pieces = differences(answerText(reference), answerText(result))
  return pieces && sharedPart(pieces) >= SHARED ? pieces : null
}

function Words({ result, reference }: { result: Result; reference: Result | null }) {
  const text = result.text ?? ''
  const pieces = piecesOf(reference, result)
  const isEqual =
    reference !== null && reference !== result && answerText(reference) === answerText(result)
  return (
    <>
      {isEqual && <p class="equal">{t('same.long')}</p>}
      {result.reasoning && (
        <Fold label={t('reasoning')} note={t('characters', { n: count(result.reasoning.length) })}>
          {() => <LongText text={result.reasoning ?? ''} />}
        </Fold>
      )}
      {text !== '' &&
        (asMarkdown.value ? <Text text={text} /> : <LongText text={text} pieces={pieces} />)}
      {result.refusal && result.refusal !== text && (
        <>
          <h4>{t('chip.refused')}</h4>
          <LongText text={result.refusal} />
        </>
      )}
      {text === '' && !result.refusal && !result.tool_calls?.length && (
        <p class="equal">{t('empty.long')}</p>
      )}
      <ToolCalls calls={result.tool_calls} />
      {result.choices && (
        <Fold label={t('choices', { n: result.choices.length })}>
          {() => <LongText text={JSON.stringify(result.choices, null, 2)} />}
        </Fold>
      )}
    </>
  )
}

/** Pairs of a word and its value; those that are not known are left out. */
function figures(result: Result): [string, string][] {
  const { tokens } = result
  const known: [string, string | null | undefined][] = [
    [t('latency'), result.latency_ms === undefined ? null : duration(result.latency_ms)],
    [
      t('first_token'),
      result.first_token_ms === undefined ? null : duration(result.first_token_ms),
    ],
    [t('tokens'), tokens ? `${count(tokens.input ?? 0)} → ${count(tokens.output ?? 0)}` : null],
    [t('cached'), tokens?.cached ? count(tokens.cached) : null],
    [t('reasoning'), tokens?.reasoning ? count(tokens.reasoning) : null],
    [t('cost'), result.cost_usd === undefined ? null : cost(result.cost_usd)],
    [t('finish'), result.finish_reason],
    [t('attempts'), result.attempts > 1 ? count(result.attempts) : null],
    ...Object.entries(result.scores ?? {}).map(([name, score]): [string, string] => [
      name,
      String(Number(score.toPrecision(4))),
    ]),
  ]
  return known.filter((pair): pair is [string, string] => Boolean(pair[1]))
}

function Figures({ result }: { result: Result }) {
  return (
    <dl class="figures">
      {figures(result).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Trace({ result, row, cell }: { result: Result; row: Row; cell: Cell }) {
  const ids: [string, string | undefined][] = [
    [t('model'), result.model],
    [t('served_by'), result.served_by],
    [t('request_key'), result.request_key],
    [t('trace_id'), result.trace_id],
    [t('request_id'), result.request_id],
    [t('started_at'), result.started_at],
  ]
  const curl = curlOf(cell, result.messages ?? row.messages)
  return (
    <>
      <dl class="ids">
        {ids.map(([name, value]) =>
          value ? (
            <div key={name}>
              <dt>{name}</dt>
              <dd>
                <bdi>{value}</bdi> <Copy label={t('copy')} text={() => value} />
              </dd>
            </div>
          ) : null,
        )}
      </dl>
      <Timeline result={result} />
      {curl && <Copy label={t('copy.curl')} text={() => curl} />}
    </>
  )
}

interface CardProps {
  row: Row
  number: number
  slot: number
  /** The result that this one is compared with, or null. */
  reference: Result | null
}

export function AnswerCard({ row, number, slot, reference }: CardProps) {
  const manifest = board.value?.manifest
  const columns = board.value?.columns
  const at = manifest?.slots[slot]
  const cell = manifest?.cells[at?.cell ?? 0]
  if (!manifest || !columns || !at || !cell) return null
  const result = row.results[slot] ?? null
  const repeats = manifest.slots.some((other) => other.cell === at.cell && other.repeat > 0)
  const place = { sample_id: row.id, cell: cell.name, run_dir: cell.run_dir, repeat: at.repeat }
  return (
    <article class="card" style={{ '--colour': cellColour(at.cell) } as CSSProperties}>
      <header>
        <h3>
          <span class="dot" />
          <CellName cell={at.cell} />
        </h3>
        {repeats && <span class="muted">{t('repeat', { n: at.repeat + 1 })}</span>}
        {referenceCell.value === at.cell && manifest.cells.length > 1 && (
          <span class="is-reference">{t('reference')}</span>
        )}
        <span class="card-flags">
          <Flags flags={columns.flags[columns.at(number, slot)] ?? 0} />
        </span>
        {result?.text && <Copy label={t('copy')} text={() => result.text ?? ''} />}
      </header>
      {!result && <p class="badge owed">{t('owed.long')}</p>}
      {result && (
        <>
          <div class="said-by-model">
            {result.status === 'ok' ? (
              <Words result={result} reference={reference} />
            ) : (
              <Failed result={result} />
            )}
          </div>
          <Figures result={result} />
          {result.messages && (
            <Fold label={t('asked_otherwise')}>
              {() => <Conversation messages={result.messages ?? []} />}
            </Fold>
          )}
          <Fold label={t('trace')} open={result.status !== 'ok' || result.attempts > 1}>
            {() => <Trace result={result} row={row} cell={cell} />}
          </Fold>
          <NoteBox place={{ ...place, request_key: result.request_key }} />
        </>
      )}
    </article>
  )
}
