/** Latency of the results over time, above the requests in flight and the limit. */

import { computed } from '@preact/signals'
import uPlot from 'uplot'
import { cellName } from '../cell_names'
import { count, duration } from '../format'
import { board, openSample, shownCells } from '../state'
import { t } from '../text'
import { shortDuration } from '../views/numbers'
import { overWhat } from '../views/shown'
import { COUNTS, LOG, left, logarithmic } from './axes'
import { cellColour } from './colours'
import { dotSeries, named } from './dot_series'
import { Frame, type Table } from './frame'
import { binned, joined } from './gather'
import { type Drawing, Plot } from './plot'
import { dashOf } from './shapes'
import { BINS, flights, overTime, timeline } from './shared'
import { bindZoom, timeAxis, timeCursor, timeHooks, timeScale } from './time_axis'
import { binsOf } from './timeline'

const together = computed(() => joined(overTime.value, false, true))

const drawLatency = computed(() => {
  const { x, y } = together.value
  const cells = shownCells.value
  return (): Drawing => ({
    options: {
      height: 280,
      scales: { x: timeScale, y: LOG },
      axes: [timeAxis(), logarithmic(left(t('charts.latency'), shortDuration))],
      series: [{}, ...cells.map(dotSeries)],
      cursor: timeCursor,
      hooks: timeHooks,
    },
    data: [x, ...y] as uPlot.AlignedData,
    bind: bindZoom,
  })
})

const drawFlight = computed(() => {
  const times = [...binsOf(timeline.value, BINS), timeline.value.length]
  const lines = flights.value
  /** A value for the end of the last bin too. */
  const closed = (values: ArrayLike<number>) => {
    const found = Array.from(values, (value) => (Number.isNaN(value) ? null : value))
    return [...found, found.at(-1) ?? null]
  }
  return (): Drawing => ({
    options: {
      height: 170,
      scales: { x: timeScale, y: COUNTS },
      axes: [timeAxis(), left(t('charts.in_flight.axis'), count)],
      series: [
        {},
        ...lines.flatMap(({ cell }) => [
          stepSeries(cell, dashOf(cell), 1.5),
          stepSeries(cell, [5, 4], 1),
        ]),
      ],
      cursor: timeCursor,
      hooks: timeHooks,
    },
    data: [
      times,
      ...lines.flatMap(({ running, limit }) => [closed(running), closed(limit)]),
    ] as uPlot.AlignedData,
    bind: bindZoom,
  })
})

function stepSeries(cell: number, dash: number[], width: number): uPlot.Series {
  return {
    stroke: cellColour(cell),
    width,
    dash,
    paths: uPlot.paths.stepped?.({ align: 1 }) as uPlot.Series.PathBuilder,
    points: { show: false },
  }
}

const TABLE_ROWS = 12

/** The same in twelve stretches of time: answers, latency, and the most in flight. */
const table = computed<Table>(() => {
  const { length } = timeline.value
  const bounds = Array.from({ length: TABLE_ROWS + 1 }, (_, i) => (i * length) / TABLE_ROWS)
  const cells = board.value?.manifest.cells ?? []
  const per = BINS / TABLE_ROWS
  const rows = flights.value.flatMap(({ cell, running, limit }, nth) => {
    const dots = overTime.value[nth]
    if (!dots) return []
    return binned(dots, bounds).flatMap(({ from, to, latency }, bin) => {
      const most = Math.max(...running.subarray(bin * per, (bin + 1) * per))
      if (!latency && most === 0) return []
      const last = limit[(bin + 1) * per - 1] as number
      return [
        [
          `${cells.length > 1 ? `${cellName(cell)}, ` : ''}${shortDuration(from * 1000)} – ${shortDuration(to * 1000)}`,
          count(latency?.count ?? 0),
          duration(latency?.p50),
          duration(latency?.p99),
          count(most),
          Number.isNaN(last) ? '–' : count(last),
        ],
      ]
    })
  })
  return {
    columns: [
      t('charts.time'),
      t('charts.answers'),
      t('charts.median'),
      t('charts.p99'),
      t('charts.most_in_flight'),
      t('charts.limit'),
    ],
    rows,
  }
})

export function LatencyOverTime() {
  const { row, slot, x, y } = together.value
  if (x.length === 0) return null
  return (
    <Frame
      title={t('charts.over_time')}
      about={t('charts.over_time.about')}
      over={overWhat.value}
      table={() => table.value}
    >
      <Plot
        label={t('charts.over_time')}
        draw={drawLatency.value}
        tip={({ index, series }) =>
          `${named(row[index] as number, slot[index] as number)}\n${duration(y[series - 1]?.[index])}`
        }
        onPick={({ index }) => openSample(row[index] as number)}
      />
      <h3>{t('charts.in_flight')}</h3>
      <p class="muted">{t('charts.in_flight.about')}</p>
      <Plot label={t('charts.in_flight')} draw={drawFlight.value} />
    </Frame>
  )
}
