// SPDX-License-Identifier: GPL-2.0
/*
 * Asks provider for everything provider.h promises, and prints one line a
 * promise: "PASS: …" or "FAIL: …", at the end "DONE: …" with the number of each.
 * Without a FAIL it loads; with one, loading it fails. The functions that are
 * exported to consumer alone are not for this module.
 *
 * It must be told provider's max_counters if that is not the default, and needs
 * room for THREADS + 1 counters in it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "provider.h"

#define THREADS	4
#define ROUNDS	10000
#define CYCLES	200

static unsigned int max_counters = 16;
module_param(max_counters, uint, 0444);
MODULE_PARM_DESC(max_counters, "What provider was loaded with");

static bool leak;
module_param(leak, bool, 0444);
MODULE_PARM_DESC(leak, "Leave a counter registered, for provider to warn about");

static unsigned int passed, failed;

static void __printf(2, 3) check(bool ok, const char *fmt, ...)
{
	struct va_format text;
	va_list args;

	va_start(args, fmt);
	text.fmt = fmt;
	text.va = &args;
	if (ok) {
		passed++;
		pr_info("PASS: %pV\n", &text);
	} else {
		failed++;
		pr_err("FAIL: %pV\n", &text);
	}
	va_end(args);
}

static void check_names(void)
{
	static const char * const bad[] = {
		"", "two words", "a/b", "..", "line\n", "tab\t", "\x7f", "\xc3\xa9", "percent%s",
		"32-bytes-are-one-more-than-there",
	};
	static const char * const good[] = {
		"a", "A-z_0", "31-bytes-are-just-what-there-is",
	};
	struct provider_counter *counter;
	unsigned int before = provider_count();
	int i;

	counter = provider_register(NULL);
	check(PTR_ERR(counter) == -EINVAL, "no name is EINVAL");

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		counter = provider_register(bad[i]);
		check(PTR_ERR(counter) == -EINVAL, "name \"%*pE\" is EINVAL",
		      (int)strlen(bad[i]), bad[i]);
	}
	check(provider_count() == before, "a refused name takes no room");

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		counter = provider_register(good[i]);
		check(!IS_ERR_OR_NULL(counter), "name \"%s\" is taken", good[i]);
		provider_unregister(counter);
	}
}

static void check_life(void)
{
	struct provider_counter *counter, *twin;
	unsigned int before = provider_count();
	char name[] = "abi-probe";

	counter = provider_register(name);
	check(!IS_ERR(counter) && provider_count() == before + 1, "registering makes one more");
	if (IS_ERR(counter))
		return;

	name[0] = 'x';
	twin = provider_register("abi-probe");
	check(PTR_ERR(twin) == -EEXIST, "a name is copied, and taken twice is EEXIST");

	check(provider_read(counter) == 0, "a counter starts at zero");
	check(provider_add(counter, 5) == 0 && provider_add(counter, -7) == 0 &&
	      provider_read(counter) == -2, "5 - 7 is -2");

	check(provider_add(counter, S64_MIN) == -ERANGE && provider_read(counter) == -2,
	      "below the least s64 is ERANGE and changes nothing");
	check(provider_add(counter, S64_MAX) == 0 && provider_add(counter, 2) == 0 &&
	      provider_read(counter) == S64_MAX, "the greatest s64 is reached");
	check(provider_add(counter, 1) == -ERANGE && provider_read(counter) == S64_MAX,
	      "above the greatest s64 is ERANGE and changes nothing");

	provider_unregister(counter);
	check(provider_count() == before, "unregistering makes one less");

	/* Provider compares the address without following it, and warns. */
	provider_unregister(counter);
	provider_unregister(NULL);
	provider_unregister(ERR_PTR(-EINVAL));
	check(provider_count() == before, "unregistering what is not registered changes nothing");

	counter = provider_register("abi-probe");
	check(!IS_ERR(counter), "a name is free again");
	provider_unregister(counter);
}

static void check_limit(void)
{
	unsigned int before = provider_count(), room = max_counters - before, made;
	struct provider_counter **counters, *one_more;
	char name[PROVIDER_NAME_MAX + 1];

	counters = kcalloc(room, sizeof(*counters), GFP_KERNEL);
	if (!counters) {
		check(false, "memory for the test");
		return;
	}
	for (made = 0; made < room; made++) {
		snprintf(name, sizeof(name), "abi-probe-%u", made);
		counters[made] = provider_register(name);
		if (IS_ERR(counters[made]))
			break;
	}
	check(made == room, "room for max_counters: %u of %u", before + made, max_counters);

	one_more = provider_register("one-more");
	check(PTR_ERR(one_more) == -ENOSPC, "one more is ENOSPC");
	if (made) {
		one_more = provider_register("abi-probe-0");
		check(PTR_ERR(one_more) == -EEXIST, "a taken name is EEXIST even then");
	}

	while (made--)
		provider_unregister(counters[made]);
	check(provider_count() == before, "all are given back");
	kfree(counters);
}

/* The counter that the threads share: all add to one counter while each comes and goes with its own. */
static struct {
	struct provider_counter *counter;
	atomic_t next, errors, running;
	struct completion done;
} crowd;

static int crowd_thread(void *unused)
{
	struct provider_counter *own;
	char name[PROVIDER_NAME_MAX + 1];
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (provider_add(crowd.counter, i % 2 ? 3 : -2))
			atomic_inc(&crowd.errors);

	snprintf(name, sizeof(name), "abi-probe-%d", atomic_inc_return(&crowd.next));
	for (i = 0; i < CYCLES; i++) {
		own = provider_register(name);
		if (IS_ERR(own) || provider_add(own, i) || provider_read(own) != i)
			atomic_inc(&crowd.errors);
		provider_unregister(own);
	}

	if (atomic_dec_and_test(&crowd.running))
		complete(&crowd.done);
	return 0;
}

static void check_crowd(void)
{
	unsigned int before = provider_count();
	struct task_struct *thread;
	int i, started = 0;

	init_completion(&crowd.done);
	/* One more, so that the last is not done before all are started. */
	atomic_set(&crowd.running, 1);
	crowd.counter = provider_register("abi-probe-crowd");
	if (IS_ERR(crowd.counter)) {
		check(false, "a counter for the threads");
		return;
	}

	for (i = 0; i < THREADS; i++) {
		atomic_inc(&crowd.running);
		thread = kthread_run(crowd_thread, NULL, "abi_probe/%d", i);
		if (IS_ERR(thread))
			atomic_dec(&crowd.running);
		else
			started++;
	}
	if (!atomic_dec_and_test(&crowd.running))
		wait_for_completion(&crowd.done);

	check(started == THREADS, "%d threads", THREADS);
	check(!atomic_read(&crowd.errors), "no thread got an error");
	check(provider_read(crowd.counter) == (s64)started * ROUNDS / 2,
	      "no addition is lost: %lld", provider_read(crowd.counter));
	provider_unregister(crowd.counter);
	check(provider_count() == before, "no counter is lost");
}

static void leak_one(void)
{
	struct provider_counter *counter = provider_register("abi-probe-leak");

	check(!IS_ERR(counter), "leaking a counter, as asked");
}

static int __init abi_probe_init(void)
{
	check_names();
	check_life();
	check_limit();
	check_crowd();
	if (leak)
		leak_one();

	pr_info("DONE: %u passed, %u failed\n", passed, failed);
	return failed ? -EINVAL : 0;
}
module_init(abi_probe_init);

static void __exit abi_probe_exit(void)
{
}
module_exit(abi_probe_exit);

MODULE_DESCRIPTION("Tests what provider.h promises");
MODULE_IMPORT_NS("PROVIDER");
MODULE_LICENSE("GPL");
