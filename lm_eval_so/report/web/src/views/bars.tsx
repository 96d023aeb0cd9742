/** The latencies of one cell as bars, on the axis that all cells share. */
import { histogram, placeIn } from '../charts/distribution'
import { duration } from '../format'
import { t } from '../text'
import type { Figures } from './figures'
import { latencyBins } from './summed'

const WIDTH = 256
const HEIGHT = 44

export function Bars({ of, index }: { of: Figures; index: number }) {
  if (!of.latency) return <p class="muted">{t('cells.no_latency')}</p>
  const { p50, p99 } = of.latency
  const label = t('cells.latency.bars', { p50: duration(p50), p99: duration(p99) })
  return (
    <figure class="bars">
      <Picture of={of} index={index} label={label} />
      <figcaption>
        <span title={t('cells.latency')}>
          p50 <strong>{duration(p50)}</strong>
        </span>
        <span>
          p99 <strong>{duration(p99)}</strong>
        </span>
      </figcaption>
    </figure>
  )
}

function Picture({ of, index, label }: { of: Figures; index: number; label: string }) {
  const bins = latencyBins.value
  if (!bins || !of.latencies || !of.latency) return null
  const counts = histogram(of.latencies, bins)
  const most = Math.max(...counts)
  const width = WIDTH / bins.count
  const at = (value: number) => placeIn(bins, value) * WIDTH
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      {[...counts].map((many, bar) => {
        const height = many === 0 ? 0 : Math.max(1.5, (many / most) * (HEIGHT - 2))
        const place = { x: bar * width + 0.5, y: HEIGHT - height, width: width - 1, height }
        return <rect key={bar} class={`fill-${index % 8}`} {...place} />
      })}
      <line class="mark-p50" x1={at(of.latency.p50)} x2={at(of.latency.p50)} y1="0" y2={HEIGHT} />
      <line class="mark-p99" x1={at(of.latency.p99)} x2={at(of.latency.p99)} y1="0" y2={HEIGHT} />
    </svg>
  )
}
