/** The bundle of one run and the messages about it; the types of the data are those of the Python side. */

import type {
  Ack,
  ChatItem,
  ChatItemMessage,
  CommandMessage,
  CompareRequest,
  CurvesMessage,
  DeltaMessage,
  ImportancesMessage,
  ImportancesRequest,
  ItemRequest,
  PageMessage,
  PageRequest,
  SnapshotMessage,
  SnapshotRequest,
  Trial,
  TrialMessage,
  Version,
  VersionMessage
} from './wire';

export type {
  Bundle,
  Candidate,
  ChatItem,
  Cost,
  Curve,
  Delta,
  ImportancesMessage,
  ParamSpec,
  Run,
  RunRow,
  Summary,
  Trial,
  Usage,
  Verification,
  Version
} from './wire';

export type Params = Trial['params'];
export type Value = Params[string];
export type ImportanceKind = ImportancesRequest['kind'];
export type ItemKind = ItemRequest['kind'];
export type Item = ChatItem | Trial | Version;

/**
 * What a kernel sends to a view; `connected` comes from the front end, which sees the kernel go, and `restarted` where
 * another one is in its place.
 */
export type Incoming =
  | DeltaMessage
  | SnapshotMessage
  | ChatItemMessage
  | TrialMessage
  | VersionMessage
  | CurvesMessage
  | ImportancesMessage
  | PageMessage
  | Ack
  | { connected: boolean; restarted?: boolean };

/** What a view sends to a kernel: a command, or that it needs an entry in full length. */
export type Outgoing =
  | CommandMessage
  | SnapshotRequest
  | ItemRequest
  | CompareRequest
  | ImportancesRequest
  | PageRequest;

/** What a view is mounted on: a bundle, and for a living run the way to its kernel. */
export interface Model {
  snapshot: unknown;
  subscribe?: (listener: (message: Incoming) => void) => () => void;
  send?: (message: Outgoing) => void;
}
