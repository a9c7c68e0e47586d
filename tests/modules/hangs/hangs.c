// SPDX-License-Identifier: GPL-2.0
/* Takes the processor and never gives it back: only a deadline outside the machine ends it. */
#include <linux/delay.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/processor.h>

static int __init hangs_init(void)
{
	pr_info("hangs: goodbye\n");
	/* The serial console of 7.3 prints from a thread, which must get to run. */
	msleep(200);
	local_irq_disable();
	for (;;)
		cpu_relax();
	return 0;
}
module_init(hangs_init);

MODULE_DESCRIPTION("Hangs the machine when it is loaded");
MODULE_LICENSE("GPL");
