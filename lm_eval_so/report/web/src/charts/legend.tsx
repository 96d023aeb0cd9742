/** Which colour, shape and dash stands for which cell. */
import { CellName } from '../cell_names'
import { shownCells } from '../state'
import { t } from '../text'
import { svgOf } from './shapes'

export function Legend() {
  return (
    <ul class="chart-legend" aria-label={t('charts.cells')}>
      {shownCells.value.map((cell) => (
        <li key={cell}>
          <svg viewBox="0 0 10 10" aria-hidden="true">
            <path class={`fill-${cell % 8}`} d={svgOf(cell)} />
          </svg>
          <CellName cell={cell} />
        </li>
      ))}
    </ul>
  )
}
