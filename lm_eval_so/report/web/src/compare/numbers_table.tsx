/** Paired differences as a table, with the method in words. */
import { count } from '../format'
import { t } from '../text'
import { number, probability, signed } from '../views/numbers'
import { overWhat } from '../views/shown'
import { type Difference, differences } from './chosen'

export function NumbersTable() {
  const all = differences.value
  return (
    <section class="differences">
      <h2>
        {t('compare.numbers')} <small>{overWhat.value}</small>
      </h2>
      {!all.some(({ isScore }) => isScore) && <p class="muted">{t('compare.no_scores')}</p>}
      {all.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard
        <section class="scroll" tabIndex={0} aria-label={t('compare.numbers')}>
          <table class="numbers">
            <thead>
              <tr>
                {HEADINGS.map((key) => (
                  <th key={key} scope="col">
                    {t(key)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {all.map((one) => (
                <Line key={`${one.isScore} ${one.name}`} {...one} />
              ))}
            </tbody>
          </table>
        </section>
      )}
      <p class="muted method">{t('compare.method')}</p>
    </section>
  )
}

const HEADINGS = [
  'compare.measure',
  'compare.samples',
  'compare.before',
  'compare.after',
  'compare.difference',
  'compare.interval',
  'compare.higher',
  'compare.lower',
  'compare.p',
] as const

function Line(of: Difference) {
  const { name, isScore, interval } = of
  const apart = interval !== null && (interval.low > 0 || interval.high < 0)
  return (
    <tr>
      <th scope="row">
        {isScore
          ? t('compare.score', { name })
          : t(`compare.${name as 'latency' | 'first' | 'output' | 'length' | 'cost'}`)}
      </th>
      <td>{count(of.count)}</td>
      <td>{number(of.before)}</td>
      <td>{number(of.after)}</td>
      <td class={apart ? 'apart' : ''}>{signed(of.difference)}</td>
      <td>
        {interval ? `${signed(interval.low)} … ${signed(interval.high)}` : t('compare.no_interval')}
      </td>
      <td>{count(of.rose)}</td>
      <td>{count(of.fell)}</td>
      <td>{probability(of.p)}</td>
    </tr>
  )
}
