// Has the project's functions of some names tell what they give, and gives another value back in the place of one of them.
// Read by the witness in a control run. What modules of the new kind export cannot be changed.
"use strict";
module.exports = ({ order, placeOf, tell }) => {
  const Module = require("node:module");
  const { isDeepStrictEqual, types } = require("node:util");
  const MAX_TOLD = 100;
  const names = new Set(order.functions);
  const CONSTANTS = { true: true, false: false, null: null, undefined, nan: NaN, inf: Infinity, "-inf": -Infinity };

  /** In an array; undefined: it is none. */
  const valueOf = (literal) => {
    const [[kind, inner]] = Object.entries(literal);
    if (kind === "number") return Number(inner);
    if (kind === "text") return inner;
    if (kind === "constant") return CONSTANTS[inner];
    if (kind === "list" || kind === "tuple") return inner.map(valueOf);
    if (kind === "pairs") {
      return Object.fromEntries(inner.map(([key, value]) => [String(valueOf(key)), valueOf(value)]));
    }
    throw new TypeError("It is thrown");
  };
  const values = order.values.map((literal) => "raises" in literal ? undefined : { value: valueOf(literal) });
  const calls = Map.groupBy?.(order.calls, ({ name }) => name) ?? order.calls.reduce(
    (all, call) => all.set(call.name, [...all.get(call.name) ?? [], call]),
    new Map(),
  );

  const kindOf = (value) => {
    if (value === null || value === undefined) return "none";
    if (typeof value === "number" || typeof value === "bigint") return "number";
    if (typeof value === "string" || typeof value === "boolean") return typeof value;
    if (Array.isArray(value) || types.isTypedArray(value) || types.isSet(value)) return "list";
    if (types.isMap(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value))) return "map";
    return "other";
  };
  /** The value as something of the kind of `like`. */
  const shaped = (value, like) => {
    if (typeof like === "bigint") return BigInt(value);
    if (types.isTypedArray(like)) return like.constructor.from(value);
    if (types.isSet(like)) return new Set(value);
    if (types.isMap(like)) return new Map(Object.entries(value));
    return value;
  };
  const isSame = (a, b) => isDeepStrictEqual(a, b);
  /** Issues round what they state. */
  const isNear = (a, b) =>
    isSame(a, b) || typeof a === "number" && typeof b === "number" && Math.abs(a - b) <= 1e-6 * Math.abs(b);

  let count = 0;
  /** What comes back in the place of the result. */
  const look = (name, result, given) => {
    const number = ++count;
    const own = kindOf(result);
    const kinds = new Set(values.flatMap((one) => one === undefined ? [] : [kindOf(one.value)]));
    const equals = [];
    const fits = [];
    const stated = new Map();
    for (const [index, one] of values.entries()) {
      if (one === undefined) {
        fits.push(index);
        continue;
      }
      const kind = kindOf(one.value);
      if (kind !== own && !(kinds.has(own) && (own === "none" || kind === "none"))) continue;
      try {
        stated.set(index, shaped(one.value, result));
      } catch {
        continue;
      }
      if (isNear(stated.get(index), result)) equals.push(index);
      if (!isSame(stated.get(index), result)) fits.push(index);
    }
    const known = calls.get(name);
    const isStated = known === undefined
      ? null
      : known.some(({ arguments: wanted }) =>
        wanted.length === given.length && wanted.every((literal, index) => isNear(valueOf(literal), given[index]))
      );
    if (number <= MAX_TOLD) tell({ call: { name, equals, fits, isStated } });
    const { replace } = order;
    if (replace === null || (replace.call !== "all" && replace.call !== number)) return result;
    if ("raises" in replace.value) throw errorOf(replace.value.raises);
    const text = JSON.stringify(replace.value);
    const index = order.values.findIndex((literal) => JSON.stringify(literal) === text);
    return fits.includes(index) ? stated.get(index) : result;
  };
  const errorOf = (name) => {
    const found = globalThis[name];
    if (typeof found === "function" && found.prototype instanceof Error) return new found(name);
    return Object.assign(new Error(name), { name });
  };

  let depth = 0;
  const known = new WeakMap();
  const wrapped = (name, inner) => {
    if (known.has(inner)) return known.get(inner);
    tell({ function: name });
    const around = function (...given) {
      if (new.target !== undefined) return Reflect.construct(inner, given, new.target === around ? inner : new.target);
      if (depth > 0) return Reflect.apply(inner, this, given);
      depth++;
      let result;
      try {
        result = Reflect.apply(inner, this, given);
      } finally {
        depth--;
      }
      return types.isPromise(result) ? result.then((value) => look(name, value, given)) : look(name, result, given);
    };
    for (const key of Reflect.ownKeys(inner)) {
      try {
        Object.defineProperty(around, key, Object.getOwnPropertyDescriptor(inner, key));
      } catch {
        // What cannot be changed is like it is everywhere.
      }
    }
    known.set(inner, around);
    known.set(around, around);
    return around;
  };
  const isClass = (value) => typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));

  const patchMembers = (holder, seen) => {
    for (const [key, { value, writable, configurable }] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (key === "constructor" || (!writable && !configurable)) continue;
      const better = patched(key, value, seen);
      if (better === value) continue;
      try {
        Object.defineProperty(holder, key, { value: better });
      } catch {
        // It stays what it is.
      }
    }
  };
  /** What is to stand in the place of a value that has this name. */
  const patched = (name, value, seen) => {
    if (typeof value !== "function" && kindOf(value) !== "map" && kindOf(value) !== "other") return value;
    if (value === null || seen.has(value) || seen.size > 2000) return known.get(value) ?? value;
    seen.add(value);
    if (typeof value !== "function") {
      if (!types.isMap(value)) patchMembers(value, seen);
      return value;
    }
    if (value.prototype !== undefined && value.prototype !== null) patchMembers(value.prototype, seen);
    patchMembers(value, seen);
    const called = names.has(name) ? name : names.has(value.name) ? value.name : undefined;
    return called === undefined || isClass(value) ? value : wrapped(called, value);
  };
  /** Compilers export by getters that nobody can change. */
  const withoutGetters = (exports) => {
    if (exports === null || typeof exports !== "object") return exports;
    const has = Object.values(Object.getOwnPropertyDescriptors(exports)).some(({ get }) => get !== undefined);
    if (!has) return exports;
    const copy = Object.create(Object.getPrototypeOf(exports));
    for (const key of Reflect.ownKeys(exports)) {
      copy[key] = exports[key];
    }
    return copy;
  };

  const { load } = Module.prototype;
  Module.prototype.load = function (filename) {
    const result = load.apply(this, arguments);
    try {
      if (placeOf(String(filename)) !== undefined) {
        this.exports = patched("", withoutGetters(this.exports), new Set());
      }
    } catch {
      // Then nobody sees what it gives.
    }
    return result;
  };
};
