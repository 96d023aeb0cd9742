/** The cells: a card each, or a line each where there are many. */
import { batch } from '@preact/signals'
import type { Distribution } from '../charts/distribution'
import type { Cell } from '../data/types'
import { cost, count, duration } from '../format'
import { board, type Chip, chips, hidden, reference, shownCells, toggled, view } from '../state'
import { type Key, t } from '../text'
import { Bars } from './bars'
import type { Figures } from './figures'
import { figures } from './summed'
import { outcomeOf } from './totals'
import { counted } from './verdict'
import './views.css'

/** From so many cells on there is a line for each. */
const COMPACT = 10

const NOTHING: Figures = {
  latencies: null,
  latency: null,
  firstToken: null,
  length: null,
  input: 0,
  output: 0,
  cost: null,
  truncated: 0,
  refused: 0,
  empty: 0,
}

interface OfCell {
  cell: Cell
  index: number
  of: Figures
}

export function Cells() {
  const cells = board.value?.manifest.cells ?? []
  const each = cells.map((cell, index) => ({ cell, index, of: figures.value[index] ?? NOTHING }))
  return (
    <section class="cells" aria-label={t('cells.label')}>
      {cells.length < COMPACT ? (
        <div class="cards">
          {each.map((one) => (
            <Card key={one.index} {...one} several={cells.length > 1} />
          ))}
        </div>
      ) : (
        <Lines each={each} />
      )}
    </section>
  )
}

/** Shows the samples of one chip in the table; once more, all of them again. */
function filterBy(chip: Chip): void {
  batch(() => {
    chips.value = chips.value.length === 1 && chips.value[0] === chip ? [] : [chip]
    view.value = 'table'
  })
}

function Card({ cell, index, of, several }: OfCell & { several: boolean }) {
  const outcome = outcomeOf(cell)
  return (
    <article class={`cell-card ${shownCells.value.includes(index) ? '' : 'cell-hidden'}`}>
      <h2>
        <span class={`swatch swatch-${index % 8}`} aria-hidden="true" />
        <span class="cell-name">{cell.name}</span>
        {outcome !== 'complete' && (
          <span class={`judged judged-${outcome}`}>{t(`verdict.${outcome}`)}</span>
        )}
      </h2>
      <Outcomes cell={cell} />
      <p class="counted">{counted({ ...cell.counts, asked: cell.asked })}</p>
      <Bars of={of} index={index} />
      <dl class="cell-figures">
        {figuresWords(of).map(([name, value]) => (
          <div key={name}>
            <dt>{t(name)}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <div class="card-foot">
        <Flags cell={cell} of={of} />
        {several && <Choices cell={cell} index={index} />}
      </div>
    </article>
  )
}

function figuresWords(of: Figures): [Key, string][] {
  const { firstToken, length } = of
  return [
    ...(firstToken ? [['cells.first', firstTokenWords(firstToken)] as [Key, string]] : []),
    ['cells.tokens', t('cells.tokens.pair', { input: count(of.input), output: count(of.output) })],
    ['cells.cost', of.cost ? cost(of.cost.usd) : t('verdict.cost.unknown')],
    ...(length
      ? [
          [
            'cells.length',
            t('cells.length.value', { p50: count(length.p50), max: count(length.max) }),
          ] as [Key, string],
        ]
      : []),
  ]
}

function firstTokenWords({ p50, p99 }: { p50: number; p99: number }): string {
  return t('cells.first.pair', { p50: duration(p50), p99: duration(p99) })
}

const FLAGS = ['truncated', 'refused', 'empty'] as const

/** What is wrong with the answers, each a button that shows the samples. */
function Flags({ cell, of }: { cell: Cell; of: Figures }) {
  const some: [Chip, string][] = FLAGS.filter((flag) => of[flag] > 0).map((flag) => [
    flag,
    t(`cells.${flag}`, { n: count(of[flag]) }),
  ])
  const clean = some.length === 0 && <span class="muted">{t('cells.clean')}</span>
  const { failed } = cell.counts
  if (failed > 0) some.unshift(['failed', t('verdict.failed', { failed: count(failed) })])
  return (
    <p class="flags">
      {some.map(([chip, what]) => (
        <button
          key={chip}
          type="button"
          class={`flag flag-${chip}`}
          aria-pressed={chips.value.includes(chip)}
          title={t('cells.filter', { what })}
          onClick={() => filterBy(chip)}
        >
          {what}
        </button>
      ))}
      {clean}
    </p>
  )
}

function Outcomes({ cell }: { cell: Cell }) {
  const { ok, failed, owed } = cell.counts
  const label = counted({ ...cell.counts, asked: cell.asked })
  return (
    <div class="outcomes" role="img" aria-label={label} title={label}>
      <span class="bar-ok" style={{ flexGrow: String(ok) }} />
      <span class="bar-failed" style={{ flexGrow: String(failed) }} />
      <span class="bar-owed" style={{ flexGrow: String(owed) }} />
    </div>
  )
}

function ReferenceChoice({ cell, index, words }: { cell: Cell; index: number; words: boolean }) {
  return (
    <label class="choice">
      <input
        type="radio"
        name="reference"
        checked={reference.value === index}
        aria-label={t('cells.reference.choose', { name: cell.name })}
        onChange={() => {
          reference.value = index
        }}
      />
      {words && t('cells.reference')}
    </label>
  )
}

function ShownChoice({ cell, index, words }: { cell: Cell; index: number; words: boolean }) {
  const isShown = shownCells.value.includes(index)
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={isShown}
        disabled={isShown && shownCells.value.length === 1}
        aria-label={t('cells.show', { name: cell.name })}
        onChange={() => {
          hidden.value = toggled(hidden.value, index)
        }}
      />
      {words && t('cells.shown')}
    </label>
  )
}

function Choices({ cell, index }: { cell: Cell; index: number }) {
  return (
    <p class="choices">
      <ReferenceChoice cell={cell} index={index} words />
      <ShownChoice cell={cell} index={index} words />
    </p>
  )
}

const HEADINGS: Key[] = [
  'cells.reference',
  'cells.shown',
  'cells.name',
  'cells.answered',
  'cells.failed',
  'cells.owed',
  'cells.latency.both',
  'cells.first.both',
  'cells.tokens',
  'cells.cost',
  'cells.length',
]

function Lines({ each }: { each: OfCell[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard
    <section class="scroll many-cells" tabIndex={0} aria-label={t('cells.label')}>
      <table class="numbers lines">
        <thead>
          <tr>
            {HEADINGS.map((key) => (
              <th key={key} scope="col">
                {t(key)}
              </th>
            ))}
            <th scope="col" />
          </tr>
        </thead>
        <tbody>
          {each.map((one) => (
            <Line key={one.index} {...one} />
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Half of the answers within the first, 99% within the second. */
function both(of: Distribution | null): string {
  return of ? `${duration(of.p50)} / ${duration(of.p99)}` : '–'
}

function Line({ cell, index, of }: OfCell) {
  const { latency, firstToken, length } = of
  return (
    <tr class={shownCells.value.includes(index) ? '' : 'cell-hidden'}>
      <td>
        <ReferenceChoice cell={cell} index={index} words={false} />
      </td>
      <td>
        <ShownChoice cell={cell} index={index} words={false} />
      </td>
      <th scope="row">
        <span class={`swatch swatch-${index % 8}`} aria-hidden="true" /> {cell.name}
        <Outcomes cell={cell} />
      </th>
      <td>{count(cell.counts.ok)}</td>
      <td>{count(cell.counts.failed)}</td>
      <td>{count(cell.counts.owed)}</td>
      <td>{both(latency)}</td>
      <td>{both(firstToken)}</td>
      <td>{t('cells.tokens.pair', { input: count(of.input), output: count(of.output) })}</td>
      <td>{cost(of.cost?.usd)}</td>
      <td>{length ? count(length.p50) : '–'}</td>
      <td>
        <Flags cell={cell} of={of} />
      </td>
    </tr>
  )
}
