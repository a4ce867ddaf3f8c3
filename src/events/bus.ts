/** Hands every fact of a run, numbered and dated, to everyone who subscribed. */
import { AsyncLocalStorage } from "node:async_hooks";
import type { EventFact, RunEvent } from "./event.ts";

export interface EventBusOptions {
  /** Milliseconds since 1970. May go backwards: the stamps do not. */
  now: () => number;
  /** Goes on after a log that another process wrote: the number of the first event, and the time of the last before it. */
  after?: { firstSeq: number; lastMs: number };
  /** Gets each event before `publish` returns. Must not throw. */
  record?: (event: RunEvent) => void;
  /** Told of each throw or rejection of a subscriber. What it throws itself is dropped. */
  onSubscriberError?: (error: unknown, event: RunEvent) => void;
}

/** May work as long as it needs: the next event comes when it has returned, or its promise is settled. */
export type Subscriber = (event: RunEvent) => void | Promise<void>;

/**
 * Every subscriber gets every event published after it subscribed, in order, one at a time. Subscribers do not wait for
 * each other, and one that throws disturbs neither the others nor what it gets later.
 *
 * Backpressure: `publish` resolves when every subscriber has taken the event, so a publisher that awaits goes as fast as
 * the slowest subscriber, and one that does not await fills that subscriber's queue, which has no bound. The bus sets no
 * deadline: a subscriber that may wait forever needs its own.
 */
export class EventBus {
  readonly #options: EventBusOptions;
  readonly #subscriptions = new Set<Subscription>();
  /** Tells a publish from inside a subscriber, also after an await, from one that comes from elsewhere. */
  readonly #delivery = new AsyncLocalStorage<Delivery>();
  #seq: number;
  #lastMs: number;

  constructor(options: EventBusOptions) {
    this.#options = options;
    this.#seq = options.after?.firstSeq ?? 0;
    this.#lastMs = options.after?.lastMs ?? -Infinity;
  }

  /** Returns the way to unsubscribe: what is still queued for the subscriber then is not delivered. */
  subscribe(subscriber: Subscriber): () => void {
    const subscription: Subscription = { subscriber, active: true, tail: Promise.resolve() };
    this.#subscriptions.add(subscription);
    return () => {
      subscription.active = false;
      this.#subscriptions.delete(subscription);
    };
  }

  /**
   * Stamps the fact (`seq` from 0 without gaps, `time` in UTC that never goes back) at once, whether it is awaited or not.
   * Never rejects.
   *
   * A subscriber may publish: its event comes after the one it is working on. There the promise resolves at once, because
   * a subscriber that waited for itself would wait forever.
   */
  publish(fact: EventFact): Promise<void> {
    const event = this.#stamp(fact);
    this.#options.record?.(event);
    const taken = Array.from(this.#subscriptions, (subscription) => {
      subscription.tail = subscription.tail.then(() => this.#deliver(event, subscription));
      return subscription.tail;
    });
    if (this.#delivery.getStore()?.running) return Promise.resolve();
    return Promise.all(taken).then(() => {});
  }

  #stamp(fact: EventFact): RunEvent {
    this.#lastMs = Math.max(this.#lastMs, this.#options.now());
    const time = new Date(this.#lastMs).toISOString();
    const event = { seq: this.#seq++, time, type: fact.type, data: fact.data } as RunEvent;
    // All subscribers get the same object.
    return Object.freeze(event);
  }

  async #deliver(event: RunEvent, subscription: Subscription): Promise<void> {
    if (!subscription.active) return;
    const delivery: Delivery = { running: true };
    try {
      await this.#delivery.run(delivery, () => subscription.subscriber(event));
    } catch (error) {
      this.#report(error, event);
    } finally {
      delivery.running = false;
    }
  }

  #report(error: unknown, event: RunEvent): void {
    try {
      this.#options.onSubscriberError?.(error, event);
    } catch {
      // The one who would be told is the one who failed.
    }
  }
}

interface Subscription {
  readonly subscriber: Subscriber;
  active: boolean;
  /** Settles when everything published so far is taken; never rejects. */
  tail: Promise<void>;
}

/** Work that a subscriber leaves running behind its back publishes like anyone else once the delivery is over. */
interface Delivery {
  running: boolean;
}
