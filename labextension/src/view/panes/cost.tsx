/** Cost: requests, tokens, money, and the time spent in the LLM, in fits and for choosing configurations. */

import type { Bundle, ChatItem } from '../bundle';
import { useBundle } from '../context';
import { count, duration, money } from '../format';
import { Empty } from '../plot';
import { plain } from '../safe';
import { usesLlm } from '../words';

export function CostPane() {
  const bundle = useBundle();
  const { cost, run } = bundle;
  const total = Math.max(cost.llm_seconds + cost.fit_seconds, 1e-9);
  const share = (100 * cost.llm_seconds) / total;
  const llm = usesLlm(bundle);
  const facts: [string, string][] = [
    ...((llm
      ? [
          ['Requests', String(cost.requests)],
          ['Tokens sent', count(cost.input_tokens)],
          ['Tokens received', count(cost.output_tokens)],
          ['Money', money(cost.money)],
          ['Time in the LLM', duration(cost.llm_seconds)]
        ]
      : []) as [string, string][]),
    ['Time in fits', duration(cost.fit_seconds)],
    ['Time for choosing', duration(cost.deciding_seconds)],
    ['Wall time', duration(run.seconds)]
  ];
  return (
    <div class="cost">
      <dl class="facts-grid">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {llm && (
        <>
          <div
            class="split"
            role="img"
            aria-label={`Time: ${duration(cost.llm_seconds)} in the LLM, ${duration(cost.fit_seconds)} in fits`}
          >
            <div class="split-llm" style={{ width: `${share}%` }} />
            <div class="split-fit" style={{ width: `${100 - share}%` }} />
          </div>
          <p class="split-labels">
            <span>
              <i class="swatch split-llm" /> LLM {Math.round(share)} %
            </span>
            <span>
              <i class="swatch split-fit" /> fits {Math.round(100 - share)} %
            </span>
          </p>
        </>
      )}
      {llm && <Requests bundle={bundle} />}
    </div>
  );
}

function Requests({ bundle }: { bundle: Bundle }) {
  const replies = bundle.chat.filter(item => item.kind === 'reply');
  if (replies.length === 0) {
    return (
      <Empty>
        {bundle.cost.requests ? 'No request was answered yet.' : 'No request was sent: this costs nothing.'}
      </Empty>
    );
  }
  const accepted = (item: ChatItem) => {
    const candidates = item.candidates ?? [];
    const good = candidates.filter(c => c.status !== 'rejected').length;
    return candidates.length ? `${good} of ${candidates.length}` : '';
  };
  return (
    <div class="table-scroll requests" tabIndex={0} role="group" aria-label="Requests">
      <table>
        <thead>
          <tr>
            <th scope="col" class="right">
              At trial
            </th>
            <th scope="col">Purpose</th>
            <th scope="col">Provider</th>
            <th scope="col" class="right">
              Taken
            </th>
            <th scope="col" class="right">
              Tokens in
            </th>
            <th scope="col" class="right">
              Tokens out
            </th>
            <th scope="col" class="right">
              Money
            </th>
            <th scope="col" class="right">
              Time
            </th>
          </tr>
        </thead>
        <tbody>
          {replies.map(item => (
            <tr key={item.id}>
              <td class="right">{item.trial ?? ''}</td>
              <td>{plain(item.purpose)}</td>
              <td>{plain(item.provider)}</td>
              <td class="right">{accepted(item)}</td>
              <td class="right">{count(item.usage?.input_tokens ?? 0)}</td>
              <td class="right">{count(item.usage?.output_tokens ?? 0)}</td>
              <td class="right">{money(item.usage?.money ?? null)}</td>
              <td class="right">{duration(item.seconds)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
