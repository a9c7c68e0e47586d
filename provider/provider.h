/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The C ABI of the provider module: named counters that other modules share.
 *
 * This header is its only statement. provider_exports.c exports what is
 * declared here, bindgen holds the Rust functions of provider to these very
 * types, and makes the declarations that consumer calls.
 *
 * Registering, unregistering and counting take a mutex and may sleep: process
 * context only. Adding, reading and setting are one atomic operation each and
 * may be called from any context, by any number of callers at once. They order
 * nothing but the counter's own value.
 */
#ifndef _PROVIDER_H
#define _PROVIDER_H

#include <linux/types.h>

/* The longest name of a counter in bytes, its terminating NUL not counted. */
#define PROVIDER_NAME_MAX 31

/* A registered counter. Only provider looks inside. */
struct provider_counter;

/**
 * provider_register() - make a counter that starts at zero
 * @name: 1 to PROVIDER_NAME_MAX of the ASCII letters and digits, '_' and '-';
 *        copied, so the caller's string may go away
 *
 * Exported for GPL modules, the rule for an interface that has a lifetime.
 *
 * Context: Process context. May sleep.
 *
 * Return: the counter, to be given back by provider_unregister(), or an
 * ERR_PTR: -EINVAL for a bad name (or none); else -EEXIST when the name is taken;
 * else -ENOSPC when there are max_counters already. -ENOMEM may come before any
 * but the first.
 */
struct provider_counter *__must_check provider_register(const char *name);

/**
 * provider_unregister() - free a counter and its name
 * @counter: what provider_register() returned; NULL and an ERR_PTR are ignored
 *
 * No other call may be using @counter, and none may follow. A @counter that is
 * not registered is left alone, with a warning in the log, unless one that was
 * registered since has its address.
 *
 * Exported for GPL modules, as is provider_register().
 *
 * Context: Process context. May sleep.
 */
void provider_unregister(struct provider_counter *counter);

/**
 * provider_add() - add to a counter
 * @counter: a registered counter
 * @delta: what to add, may be negative
 *
 * Exported for GPL modules, as is provider_register().
 *
 * Context: Any context.
 *
 * Return: 0, or -ERANGE when the sum is no s64: then the counter is unchanged.
 */
int __must_check provider_add(struct provider_counter *counter, s64 delta);

/**
 * provider_read() - the value of a counter
 * @counter: a registered counter
 *
 * Exported for all modules: it changes nothing and reveals a number, so a module
 * that has been handed a counter may look at it, under any license.
 *
 * Context: Any context.
 *
 * Return: the value.
 */
s64 provider_read(const struct provider_counter *counter);

/**
 * provider_count() - how many counters are registered
 *
 * Exported for GPL modules in the namespace PROVIDER: nobody needs it to count.
 * It is for diagnosis: a module that relies on it says so with MODULE_IMPORT_NS().
 *
 * Context: Process context. May sleep.
 *
 * Return: the number, at most the parameter max_counters.
 */
unsigned int provider_count(void);

/**
 * provider_set() - overwrite a counter
 * @counter: a registered counter
 * @value: its new value
 *
 * Exported for the module consumer alone: it undoes what all others added, which
 * the module that ships with provider needs for its start value, and nobody else.
 *
 * Context: Any context.
 */
void provider_set(struct provider_counter *counter, s64 value);

#endif /* _PROVIDER_H */
