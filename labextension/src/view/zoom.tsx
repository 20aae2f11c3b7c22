/** The part of the trials that a chart shows: chosen on a bar below its axis, with the pointer or the keyboard. */

import { useRef } from 'preact/hooks';

/** The first and last trial shown; a last one of null is the newest, whichever that is. */
export interface Zoom {
  from: number;
  to: number | null;
}

/** Fewest steps between the ends: less would be a picture of one or two trials. */
export const CLOSEST = 4;

/** A zoom as whole trials in [0, last], far enough apart; null where it shows all of them. */
export function asZoom(from: number, to: number, last: number): Zoom | null {
  const closest = Math.min(CLOSEST, last);
  const first = Math.round(Math.min(Math.max(from, 0), last - closest));
  const end = Math.round(Math.min(Math.max(to, first + closest), last));
  return first <= 0 && end >= last ? null : { from: first, to: end >= last ? null : end };
}

interface Props {
  zoom: Zoom | null;
  last: number;
  /** Where the axis begins and ends in the chart, in pixels. */
  left: number;
  right: number;
  set: (zoom: Zoom | null) => void;
}

export function ZoomBar({ zoom, last, left, right, set }: Props) {
  const dragged = useRef<{ x: number; from: number } | null>(null);
  const [from, to] = [zoom?.from ?? 0, zoom?.to ?? last];
  const percent = (n: number) => `${(100 * n) / last}%`;
  const thumb = (name: string, value: (zoom: Zoom | null) => number, choose: (n: number) => Zoom | null) => (
    <input
      type="range"
      min={0}
      max={last}
      value={value(zoom)}
      aria-label={`${name} trial shown`}
      onInput={event => {
        const next = choose(Number(event.currentTarget.value));
        set(next);
        event.currentTarget.value = String(value(next)); // which may be less far than the thumb was moved
      }}
    />
  );
  return (
    <div class="zoom">
      <div class="zoom-bar" style={{ left: `${left}px`, width: `${right - left}px` }}>
        <div
          class={zoom ? 'zoom-part is-zoomed' : 'zoom-part'}
          style={{ left: percent(from), width: percent(to - from) }}
          onPointerDown={event => {
            event.currentTarget.setPointerCapture(event.pointerId);
            dragged.current = { x: event.clientX, from };
          }}
          onPointerMove={event => {
            if (dragged.current) {
              const by = ((event.clientX - dragged.current.x) / (right - left)) * last;
              const start = Math.min(Math.max(0, dragged.current.from + by), last - (to - from));
              set(asZoom(start, start + to - from, last));
            }
          }}
          onPointerUp={() => {
            dragged.current = null;
          }}
        />
        {thumb(
          'First',
          z => z?.from ?? 0,
          n => asZoom(Math.min(n, to - CLOSEST), to, last)
        )}
        {thumb(
          'Last',
          z => z?.to ?? last,
          n => asZoom(from, n, last)
        )}
      </div>
      {zoom && (
        <button type="button" class="link" style={{ left: `${right + 14}px` }} onClick={() => set(null)}>
          All trials
        </button>
      )}
    </div>
  );
}
