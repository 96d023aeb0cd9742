import { board } from '../state'

export function Provenance() {
  return <section class="provenance">{board.value?.manifest.title}</section>
}
