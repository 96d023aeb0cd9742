/** Failed results over time as bars, one part for each type of error. */
import { computed } from '@preact/signals'
import uPlot from 'uplot'
import { count } from '../format'
import { board } from '../state'
import { t } from '../text'
import { shortDuration } from '../views/numbers'
import { overWhat } from '../views/shown'
import { COUNTS, left } from './axes'
import { colour } from './colours'
import { type ErrorSeries, errorsOverTime, stacked } from './errors'
import { Frame, type Table } from './frame'
import { type Drawing, Plot } from './plot'
import { picked, timeline } from './shared'
import { bindZoom, timeAxis, timeCursor, timeHooks, timeScale } from './time_axis'
import { binsOf } from './timeline'

const BARS = 60
const MOST_TYPES = 6
const TABLE_COLUMNS = 6

const series = computed(() => {
  const all = board.value?.columns
  return all ? errorsOverTime(all, picked.value, timeline.value, BARS, MOST_TYPES) : []
})

function nameOf({ type }: ErrorSeries): string {
  if (type < 0) return t('charts.errors.other')
  return board.value?.manifest.errors[type] || t('charts.errors.untyped')
}

/** Types have the colours of cells in another order: red, as nothing else here, comes first. */
const COLOURS = [5, 1, 3, 4, 2, 6]

const draw = computed(() => {
  const width = (timeline.value.length || 1) / BARS
  const middles = [...binsOf(timeline.value, BARS)].map((from) => from + width / 2)
  const heights = stacked(series.value.map(({ counts }) => counts))
  // The highest first: what stands lower is painted over it.
  const order = heights.map((_, nth) => nth).reverse()
  return (): Drawing => ({
    options: {
      height: 200,
      scales: { x: timeScale, y: COUNTS },
      axes: [timeAxis(), left(t('charts.errors.axis'), (value) => (value % 1 ? '' : count(value)))],
      series: [
        {},
        ...order.map((nth) => ({
          fill: colour(`--cell-${COLOURS[nth % COLOURS.length]}`),
          stroke: colour('--bg'),
          width: 1,
          paths: uPlot.paths.bars?.({ size: [1, 100] }) as uPlot.Series.PathBuilder,
          points: { show: false },
        })),
      ],
      cursor: timeCursor,
      hooks: timeHooks,
    },
    data: [middles, ...order.map((nth) => [...(heights[nth] ?? [])])] as uPlot.AlignedData,
    bind: bindZoom,
  })
})

const table = computed<Table>(() => {
  const per = BARS / TABLE_COLUMNS
  const width = ((timeline.value.length || 1) / TABLE_COLUMNS) * 1000
  const parts = Array.from({ length: TABLE_COLUMNS }, (_, part) => part)
  return {
    columns: [
      t('charts.errors.type'),
      t('charts.errors.total'),
      ...parts.map(
        (part) => `${shortDuration(part * width)} – ${shortDuration((part + 1) * width)}`,
      ),
    ],
    rows: series.value.map((one) => [
      nameOf(one),
      count(one.total),
      ...parts.map((part) =>
        count(one.counts.subarray(part * per, (part + 1) * per).reduce((sum, n) => sum + n, 0)),
      ),
    ]),
  }
})

export function ErrorsOverTime() {
  return (
    <Frame
      title={t('charts.errors')}
      about={t('charts.errors.about')}
      over={overWhat.value}
      table={() => table.value}
    >
      {series.value.length === 0 ? (
        <p>{t('charts.errors.none')}</p>
      ) : (
        <>
          <ul class="chart-legend">
            {series.value.map((one, nth) => (
              <li key={one.type}>
                <svg viewBox="0 0 10 10" aria-hidden="true">
                  <path class={`fill-${COLOURS[nth % COLOURS.length]}`} d="M1 1H9V9H1z" />
                </svg>
                {nameOf(one)} <small>{count(one.total)}</small>
              </li>
            ))}
          </ul>
          <Plot label={t('charts.errors')} draw={draw.value} />
        </>
      )}
    </Frame>
  )
}
