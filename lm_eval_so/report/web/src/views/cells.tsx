/** The cells: a card each, or a line each where there are many. */
import { CellName, cellName } from '../cell_names'
import type { Distribution } from '../charts/distribution'
import type { Cell } from '../data/types'
import { cost, count, duration } from '../format'
import { board, hidden, reference, shownCells, toggled } from '../state'
import { type Key, t } from '../text'
import { Bars } from './bars'
import type { Figures } from './figures'
import { Flags, Outcomes } from './outcomes'
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

function Card({ cell, index, of, several }: OfCell & { several: boolean }) {
  const outcome = outcomeOf(cell)
  return (
    <article class={`cell-card ${shownCells.value.includes(index) ? '' : 'cell-hidden'}`}>
      <h2>
        <span class={`swatch swatch-${index % 8}`} aria-hidden="true" />
        <CellName cell={index} />
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
        <Flags cell={cell} index={index} of={of} />
        {several && <Choices index={index} />}
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

function ReferenceChoice({ index, words }: { index: number; words: boolean }) {
  return (
    <label class="choice">
      <input
        type="radio"
        name="reference"
        checked={reference.value === index}
        aria-label={t('cells.reference.choose', { name: cellName(index) })}
        onChange={() => {
          reference.value = index
        }}
      />
      {words && t('cells.reference')}
    </label>
  )
}

function ShownChoice({ index, words }: { index: number; words: boolean }) {
  const isShown = shownCells.value.includes(index)
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={isShown}
        disabled={isShown && shownCells.value.length === 1}
        aria-label={t('cells.show', { name: cellName(index) })}
        onChange={() => {
          hidden.value = toggled(hidden.value, index)
        }}
      />
      {words && t('cells.shown')}
    </label>
  )
}

function Choices({ index }: { index: number }) {
  return (
    <p class="choices">
      <ReferenceChoice index={index} words />
      <ShownChoice index={index} words />
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
        <ReferenceChoice index={index} words={false} />
      </td>
      <td>
        <ShownChoice index={index} words={false} />
      </td>
      <th scope="row">
        <span class={`swatch swatch-${index % 8}`} aria-hidden="true" /> <CellName cell={index} />
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
        <Flags cell={cell} index={index} of={of} />
      </td>
    </tr>
  )
}
