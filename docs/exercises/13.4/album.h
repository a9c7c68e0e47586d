/* SPDX-License-Identifier: GPL-2.0 */
/* The C ABI of the player: how a module puts its track on the album. */
#ifndef _ALBUM_H
#define _ALBUM_H

#include <linux/types.h>

/* The pitches there are, as numbers of MIDI: C3 to B5. C4 is 60. */
#define ALBUM_LOWEST 48
#define ALBUM_HIGHEST 83

/**
 * struct album_note - a note or a rest
 * @pitch: ALBUM_LOWEST to ALBUM_HIGHEST, or 0 for a rest
 * @eighths: how long it is, in eighths of which each takes a quarter of a second
 */
struct album_note {
	u8 pitch;
	u8 eighths;
};

/**
 * struct album_track - a piece of music
 * @title: in UTF-8
 * @notes: its notes
 * @count: how many they are
 */
struct album_track {
	const char *title;
	const struct album_note *notes;
	size_t count;
};

/**
 * album_add() - put a track at the end of the album
 * @track: stays where it is, and as it is, until album_remove() has returned:
 *         the player reads it there, and makes no copy
 *
 * May sleep.
 *
 * Return: 0; -EINVAL for a track without a title or with a note that there is
 * not; -EEXIST when it is on the album; -ENOMEM.
 */
int __must_check album_add(const struct album_track *track);

/**
 * album_remove() - take a track off the album
 * @track: as given to album_add(); one that is not on the album is ignored
 *
 * Waits for a reader that is looking at the track, which is not for long: no
 * reader waits for anything while it looks. When this returns, nobody will
 * look at @track again. Whoever was in the middle of it goes on with the next.
 *
 * May sleep.
 */
void album_remove(const struct album_track *track);

#endif /* _ALBUM_H */
