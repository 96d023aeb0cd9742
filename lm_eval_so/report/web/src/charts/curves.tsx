/** Curves of the cells over each other: which share of the answers stays within a value. */

import { computed } from '@preact/signals'
import uPlot from 'uplot'
import { cellName } from '../cell_names'
import { cost, count, duration } from '../format'
import { shownCells } from '../state'
import { t } from '../text'
import { number, share, shortDuration } from '../views/numbers'
import { overWhat } from '../views/shown'
import { bottom, fixed, LOG, left, logarithmic } from './axes'
import { cellColour } from './colours'
import { cumulative, percentile } from './distribution'
import { Frame, type Table } from './frame'
import { type Drawing, Plot } from './plot'
import { dashOf } from './shapes'
import { MEASURES, type Measure, measure, measured } from './shared'

const MOST_POINTS = 300
const SHARES = [10, 25, 50, 75, 90, 95, 99, 100]

/** How a value of each measure is written: at an axis, and in a table. */
const WRITE: Record<Measure, [(value: number) => string, (value: number) => string]> = {
  latency: [shortDuration, duration],
  first: [shortDuration, duration],
  output: [count, count],
  length: [count, count],
  cost: [number, cost],
}

/** The curves that have points, with the cell of each. */
const curves = computed(() =>
  measured.value
    .map((inOrder, nth) => ({
      cell: shownCells.value[nth] as number,
      curve: cumulative(inOrder.subarray(firstAbove(inOrder)), MOST_POINTS),
      below: firstAbove(inOrder) / inOrder.length,
    }))
    .filter(({ curve }) => curve.value.length > 0),
)

/** Where the values above 0 begin, which a logarithmic axis can show. */
function firstAbove(inOrder: Float64Array): number {
  const first = inOrder.findIndex((value) => value > 0)
  return first < 0 ? inOrder.length : first
}

const draw = computed(() => {
  const lines = curves.value
  const [write] = WRITE[measure.value]
  const name = t(`charts.measure.${measure.value}`)
  return (): Drawing => ({
    options: {
      height: 300,
      scales: { x: LOG, y: fixed(() => ({ from: 0, to: 1.02 })) },
      axes: [logarithmic(bottom(name, write)), left(t('charts.share'), share)],
      series: [
        {},
        ...lines.map(({ cell }) => ({
          stroke: cellColour(cell),
          width: 2,
          dash: dashOf(cell),
          paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder,
          points: { show: false },
          spanGaps: true,
        })),
      ],
      cursor: { points: { show: false }, drag: { x: true, y: false } },
    },
    data: uPlot.join(
      lines.map(({ curve, below }) => [
        curve.value,
        curve.share.map((value) => below + value * (1 - below)),
      ]),
    ),
  })
})

const table = computed<Table>(() => {
  const [, write] = WRITE[measure.value]
  return {
    columns: [t('charts.share'), ...shownCells.value.map(cellName)],
    rows: SHARES.map((percent) => [
      share(percent / 100),
      ...measured.value.map((inOrder) =>
        inOrder.length > 0 ? write(percentile(inOrder, percent)) : '–',
      ),
    ]),
  }
})

export function Curves() {
  return (
    <Frame
      title={t('charts.cumulative')}
      about={t('charts.cumulative.about')}
      over={overWhat.value}
      table={() => table.value}
    >
      <label class="choice">
        {t('charts.cumulative.of')}{' '}
        <select
          value={measure.value}
          onChange={(event) => {
            measure.value = event.currentTarget.value as Measure
          }}
        >
          {MEASURES.map((name) => (
            <option key={name} value={name}>
              {t(`charts.measure.${name}`)}
            </option>
          ))}
        </select>
      </label>
      {curves.value.length === 0 ? (
        <p>{t('charts.nothing')}</p>
      ) : (
        <Plot label={t('charts.cumulative')} draw={draw.value} />
      )}
    </Frame>
  )
}
