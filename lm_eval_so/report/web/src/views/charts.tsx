import { board } from '../state'

export function Charts() {
  return <section class="charts">{board.value?.manifest.title}</section>
}
