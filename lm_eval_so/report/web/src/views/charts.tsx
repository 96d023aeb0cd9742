/** Charts over the samples that are shown. */
import { AgreementTable } from '../charts/agreement_table'
import { Curves } from '../charts/curves'
import { ErrorsOverTime } from '../charts/errors_over_time'
import { LatencyOverTime } from '../charts/latency_over_time'
import { Legend } from '../charts/legend'
import { LatencyByTokens } from '../charts/tokens'
import { t } from '../text'
import './views.css'
import '../charts/charts.css'

export function Charts() {
  return (
    <div class="chart-view">
      <div class="charts-head">
        <Legend />
        <p class="muted">{t('charts.zoom')}</p>
      </div>
      <LatencyOverTime />
      <LatencyByTokens />
      <Curves />
      <ErrorsOverTime />
      <AgreementTable />
    </div>
  )
}
