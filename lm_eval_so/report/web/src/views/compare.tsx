import { board } from '../state'

export function Compare() {
  return <section class="compare">{board.value?.manifest.title}</section>
}
