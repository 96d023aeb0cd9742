/** How often each pair of cells gives the same answer. */

import { computed } from '@preact/signals'
import { cellName } from '../cell_names'
import { board, shownCells, slotsOf } from '../state'
import { t } from '../text'
import { share } from '../views/numbers'
import { tn } from '../views/plural'
import { overWhat, rowsShown } from '../views/shown'
import { type Agreement, agreementMatrix } from './agreement'
import { Frame } from './frame'

const slots = computed(() => shownCells.value.map((cell) => slotsOf.value[cell] ?? []))

const matrix = computed(() => {
  const all = board.value?.columns
  return all ? agreementMatrix(all, rowsShown.value, slots.value) : []
})

export function AgreementTable() {
  const repeated = slots.value.some((of) => of.length > 1)
  const names = shownCells.value.map(cellName)
  return (
    <Frame
      title={t('charts.agreement')}
      about={t(repeated ? 'charts.agreement.repeats' : 'charts.agreement.about')}
      over={overWhat.value}
    >
      {names.length === 1 && !repeated ? (
        <p>{t('charts.agreement.one')}</p>
      ) : (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard
        <section class="scroll" tabIndex={0} aria-label={t('charts.agreement')}>
          <table class="numbers agreement">
            <thead>
              <tr>
                <td />
                {names.map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {matrix.value.map((line, i) => (
                <tr key={names[i]}>
                  <th scope="row">{names[i]}</th>
                  {line.map((pair, j) => (
                    <Pair key={names[j]} {...pair} hidden={i === j && !repeated} />
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </Frame>
  )
}

function Pair({ share: equal, rows, hidden }: Agreement & { hidden: boolean }) {
  if (hidden || Number.isNaN(equal)) return <td class="muted">–</td>
  return (
    <td
      style={{ '--share': `${Math.round(equal * 100)}%` }}
      title={tn('charts.agreement.rows', rows, { share: share(equal) })}
    >
      {share(equal)}
    </td>
  )
}
