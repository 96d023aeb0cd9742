import { board } from '../state'

export function Cells() {
  return <section class="cells">{board.value?.manifest.title}</section>
}
