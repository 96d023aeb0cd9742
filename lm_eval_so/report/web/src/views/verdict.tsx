/** The line at the top: what was run, whether it may be counted on, what it took. */
import { cost, count, duration } from '../format'
import { board, slotsOf } from '../state'
import { t } from '../text'
import { plain } from './numbers'
import { tn } from './plural'
import { figures, seconds } from './summed'
import {
  type Counts,
  countsOf,
  gathered,
  reasonsOf,
  samplesOf,
  spent,
  type Told,
  varying,
  warningsOf,
  worst,
} from './totals'
import './views.css'

/** Characters of reasons that are shown at once, a line; the others are behind one click. */
const SHOWN = 150

export function Verdict() {
  const shown = board.value
  if (!shown) return null
  const { cells, sampled } = shown.manifest
  const outcome = worst(cells)
  const reasons = gathered(cells, reasonsOf)
  const warnings = gathered(cells, warningsOf)
  return (
    <section class="verdict" aria-label={t('verdict.label')}>
      <div class="verdict-line">
        <Headline />
        <p class="verdict-says">
          <strong class={`judged judged-${outcome}`}>{t(`verdict.${outcome}`)}</strong>{' '}
          <span>{counted(countsOf(cells))}</span>
          {outcome === 'complete' && reasons.length === 0 && (
            <span class="muted">{t('verdict.complete.why')}</span>
          )}
        </p>
      </div>
      {reasons.length > 0 && <Sentences told={reasons} cells={cells.length} />}
      <div class="verdict-line">
        <Facts />
        {warnings.length > 0 && (
          <details class="warnings">
            <summary>{tn('verdict.warnings', warnings.length)}</summary>
            <Sentences told={warnings} cells={cells.length} most={warnings.length} />
          </details>
        )}
      </div>
      {sampled && (
        <p class="notice" role="note">
          {t('verdict.sampled', {
            results: count(sampled.results),
            of: count(sampled.of),
            how: sampled.how,
          })}
        </p>
      )}
    </section>
  )
}

/** "968 of 1,000 answered, 20 failed, 12 not asked": everything that was asked is in it. */
export function counted({ ok, failed, owed, asked }: Counts): string {
  const parts = [t('verdict.answered', { ok: count(ok), asked: count(asked) })]
  parts.push(failed ? t('verdict.failed', { failed: count(failed) }) : t('verdict.none_failed'))
  if (owed) parts.push(t('verdict.owed', { owed: count(owed) }))
  return parts.join(', ')
}

function Headline() {
  const manifest = board.value?.manifest
  if (!manifest) return null
  const { cells, datasets } = manifest
  const samples = samplesOf(cells, slotsOf.value)
  const repeats = Math.max(1, ...slotsOf.value.map((slots) => slots.length))
  const inAll = datasets.length === 1 ? (datasets[0]?.sample_count ?? 0) : 0
  const size = cells.length > 1 ? 'verdict.size' : 'verdict.size.one_cell'
  return (
    <div class="headline">
      <h2>{datasets.map(({ id }) => id).join(', ')}</h2>
      {datasets.map((dataset) => (
        <span class="dataset" key={dataset.sha256 + dataset.path}>
          {dataset.name && dataset.name !== dataset.id && <span>{dataset.name}</span>}
          {dataset.version && <span>{t('verdict.version', { version: dataset.version })}</span>}
          <code title={t('verdict.digest', { sha256: dataset.sha256 })}>
            {dataset.sha256.slice(0, 8)}
          </code>
        </span>
      ))}
      <span class="size">
        {tn(size, samples, { cells: count(cells.length) })}
        {repeats > 1 && t('verdict.repeats', { repeats: count(repeats) })}
        {inAll > samples && <span class="muted"> {tn('verdict.of_dataset', inAll)}</span>}
      </span>
    </div>
  )
}

function Facts() {
  const cells = board.value?.manifest.cells ?? []
  return (
    <dl class="facts">
      {varying(cells).map(({ name, values }) => (
        <div key={name}>
          <dt title={t('verdict.varies')}>{name}</dt>
          <dd>{listed(values)}</dd>
        </div>
      ))}
      <div>
        <dt>{t('verdict.cost')}</dt>
        <dd>{costs()}</dd>
      </div>
      <div>
        <dt title={t('verdict.time.hint')}>{t('verdict.time')}</dt>
        <dd title={t('verdict.time.hint')}>{duration(seconds.value * 1000)}</dd>
      </div>
    </dl>
  )
}

function costs(): string {
  const total = spent(figures.value)
  const { ok } = countsOf(board.value?.manifest.cells ?? [])
  if (!total) return t('verdict.cost.unknown')
  const usd = cost(total.usd)
  if (total.known >= ok || board.value?.manifest.sampled) return usd
  return t('verdict.cost.partly', { usd, known: count(total.known), ok: count(ok) })
}

const MOST_VALUES = 6

function listed(values: readonly unknown[]): string {
  const named = values.map((value) => (value === undefined || value === '' ? '–' : plain(value)))
  const more = named.length - MOST_VALUES
  const shown = named.slice(0, MOST_VALUES).join(', ')
  return more > 0 ? `${shown}, ${t('verdict.more', { n: count(more) })}` : shown
}

/** At least one, and as many as have room. */
function fitting(told: readonly Told[]): number {
  let [characters, most] = [0, 0]
  for (const { sentence } of told) {
    characters += sentence.length
    if (characters > SHOWN) break
    most++
  }
  return Math.max(1, most)
}

interface Listed {
  told: Told[]
  cells: number
  most?: number
}

function Sentences({ told, cells, most = fitting(told) }: Listed) {
  const line = ({ sentence, cells: names }: Told) => (
    <li key={sentence}>
      {sentence}
      {names.length < cells && <span class="muted"> ({listed(names)})</span>}
    </li>
  )
  const rest = told.slice(most)
  return (
    <ul class="reasons">
      {told.slice(0, most).map(line)}
      {rest.length > 0 && (
        <li>
          <details>
            <summary>{t('verdict.more', { n: count(rest.length) })}</summary>
            <ul>{rest.map(line)}</ul>
          </details>
        </li>
      )}
    </ul>
  )
}
