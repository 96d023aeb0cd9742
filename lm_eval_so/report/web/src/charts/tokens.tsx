/** Latency against output tokens: is an answer slow because it is long? */

import { computed } from '@preact/signals'
import type uPlot from 'uplot'
import { cellName } from '../cell_names'
import { count, duration } from '../format'
import { board, openSample, shownCells } from '../state'
import { t } from '../text'
import { shortDuration } from '../views/numbers'
import { overWhat } from '../views/shown'
import { bottom, LOG, left, logarithmic } from './axes'
import { dotSeries, named } from './dot_series'
import { Frame, type Table } from './frame'
import { binned, joined, quantileBounds } from './gather'
import { type Drawing, Plot } from './plot'
import { byTokens } from './shared'

const together = computed(() => joined(byTokens.value, true, true))

const draw = computed(() => {
  const { x, y } = together.value
  const cells = shownCells.value
  return (): Drawing => ({
    options: {
      height: 320,
      scales: { x: LOG, y: LOG },
      axes: [
        logarithmic(bottom(t('charts.output'), count)),
        logarithmic(left(t('charts.latency'), shortDuration)),
      ],
      series: [{}, ...cells.map(dotSeries)],
      cursor: { points: { show: false }, drag: { x: true, y: false } },
    },
    data: [x, ...y] as uPlot.AlignedData,
  })
})

const TABLE_ROWS = 8

const table = computed<Table>(() => {
  const cells = board.value?.manifest.cells ?? []
  const rows = byTokens.value.flatMap((dots, nth) => {
    const name = cells.length > 1 ? `${cellName(shownCells.value[nth] as number)}, ` : ''
    return binned(dots, quantileBounds(dots.x, TABLE_ROWS)).map(({ from, to, latency }) => [
      `${name}${count(from)} – ${count(to)}`,
      count(latency?.count ?? 0),
      duration(latency?.p50),
      duration(latency?.p99),
    ])
  })
  return {
    columns: [t('charts.output'), t('charts.answers'), t('charts.median'), t('charts.p99')],
    rows,
  }
})

export function LatencyByTokens() {
  const { row, slot, x, y } = together.value
  return (
    <Frame
      title={t('charts.scatter')}
      about={t('charts.scatter.about')}
      over={overWhat.value}
      table={() => table.value}
    >
      {x.length === 0 ? (
        <p>{t('charts.nothing')}</p>
      ) : (
        <Plot
          label={t('charts.scatter')}
          draw={draw.value}
          tip={({ index, series }) =>
            [
              named(row[index] as number, slot[index] as number),
              `${t('charts.output')}: ${count(x[index] as number)}`,
              duration(y[series - 1]?.[index]),
            ].join('\n')
          }
          onPick={({ index }) => openSample(row[index] as number)}
        />
      )}
    </Frame>
  )
}
