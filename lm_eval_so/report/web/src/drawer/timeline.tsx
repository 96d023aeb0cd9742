/** The requests of one result on a line of time: what each waited for, and how long it took. */
import type { Attempt, Result } from '../data/types'
import { duration } from '../format'
import { type Key, t } from '../text'

interface Span {
  kind: 'slot' | 'rate_limit' | 'backoff' | 'outage' | 'wire' | 'first'
  ms: number
}

const WAITS = ['slot', 'rate_limit', 'backoff', 'outage'] as const

/** The spans of an attempt in the order in which they happened. */
function spansOf(attempt: Attempt, first: number | undefined): Span[] {
  const spans: Span[] = WAITS.flatMap((kind) => {
    const ms = attempt.waited_ms?.[kind] ?? 0
    return ms > 0 ? [{ kind, ms }] : []
  })
  const wire = attempt.latency_ms ?? 0
  if (first !== undefined && first < wire) {
    spans.push({ kind: 'first', ms: first }, { kind: 'wire', ms: wire - first })
  } else if (wire > 0) spans.push({ kind: 'wire', ms: wire })
  return spans
}

/** A result of one attempt has no log: it is its own. */
function attemptsOf(result: Result): Attempt[] {
  if (result.attempt_log && result.attempt_log.length > 0) return result.attempt_log
  return [
    {
      started_at: result.started_at,
      latency_ms: result.latency_ms ?? null,
      waited_ms: {},
      status_code: result.error?.status_code ?? null,
      error_type: result.error?.error_type ?? null,
    },
  ]
}

function outcome(attempt: Attempt): string {
  const words = [attempt.status_code, attempt.error_type].filter((word) => word !== null)
  return words.join(' ') || t('ok')
}

export function Timeline({ result }: { result: Result }) {
  const attempts = attemptsOf(result)
  const last = attempts.length - 1
  const rows = attempts.map((attempt, at) =>
    spansOf(attempt, at === last && result.status === 'ok' ? result.first_token_ms : undefined),
  )
  const total = rows.flat().reduce((sum, span) => sum + span.ms, 0) || 1
  const kinds = [...new Set(rows.flat().map((span) => span.kind))]
  let before = 0
  return (
    <div class="timeline">
      <ol>
        {rows.map((spans, at) => {
          const from = before
          const length = spans.reduce((sum, span) => sum + span.ms, 0)
          before += length
          const attempt = attempts[at] as Attempt
          return (
            <li key={at}>
              <span class={attempt.error_type ? 'outcome wrong' : 'outcome'}>
                {outcome(attempt)}
              </span>
              <span class="track">
                <span style={{ width: `${(100 * from) / total}%` }} />
                {spans.map((span) => (
                  <span
                    key={span.kind}
                    class={`span ${span.kind}`}
                    title={`${t(`wait.${span.kind}` as Key)}: ${duration(span.ms)}`}
                    style={{ width: `${(100 * span.ms) / total}%` }}
                  />
                ))}
              </span>
              <span class="muted">{duration(length)}</span>
            </li>
          )
        })}
      </ol>
      <p class="legend">
        {kinds.map((kind) => (
          <span key={kind}>
            <i class={`span ${kind}`} />
            {t(`wait.${kind}` as Key)}{' '}
            {duration(sumOf(rows.flat().filter((span) => span.kind === kind)))}
          </span>
        ))}
      </p>
    </div>
  )
}

function sumOf(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + span.ms, 0)
}
