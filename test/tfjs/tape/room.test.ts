import { Room, Rooms } from '../../../lib/tfjs/tape/room';

it('an array that was given back is taken again, and zeros are zero', () => {
  const room = new Room();
  const first = room.take(4).fill(7);
  expect(room.take(4)).not.toBe(first);
  room.give(first);
  expect(room.take(3)).not.toBe(first);
  expect(room.zeros(4)).toBe(first);
  expect(first).toEqual(new Float32Array(4));
});

it('takes back what it has lent, once, and nothing else', () => {
  const room = new Room();
  const own = room.take(2);
  const strange = new Float32Array(2);
  for (const array of [strange, own, own]) room.give(array);
  expect(room.take(2)).toBe(own);
  expect([strange, own]).not.toContain(room.take(2));
});

it('a step leaves all of its arrays to the next one, those that are still read among them', () => {
  const rooms = new Rooms();
  const first = rooms.open();
  const arrays = [first.take(2), first.take(2), first.take(3)];
  for (const array of arrays.slice(0, 1)) first.give(array);
  expect(rooms.bytes).toBe(0);
  rooms.close(first);
  expect(rooms.bytes).toBe(28);
  const second = rooms.open();
  expect(new Set([second.take(2), second.take(2), second.take(3)])).toEqual(new Set(arrays));
  expect(arrays).not.toContain(second.take(2));
});

it('arrays of a step that nobody takes go with it', () => {
  const rooms = new Rooms();
  const left = rooms.open().take(2);
  const room = rooms.open();
  expect(room.take(2)).not.toBe(left);
  rooms.close(room);
  expect(rooms.open().take(2)).not.toBe(left);
});

/** Numbers that are kept after a step that takes arrays of these lengths. */
function took(rooms: Rooms, ...lengths: number[]): number {
  const room = rooms.open();
  for (const length of lengths) room.take(length);
  rooms.close(room);
  return rooms.bytes / Float32Array.BYTES_PER_ELEMENT;
}

it('what a step has not used is kept, up to twice what the step used that used most', () => {
  const rooms = new Rooms();
  expect(took(rooms, 6)).toBe(6);
  expect(took(rooms, 10)).toBe(16);
  // of 24 there are 12 left, for that of 10
  expect(took(rooms, 12)).toBe(22);
  expect(took(rooms, 1)).toBe(23);
});

it('a large step is remembered for as long as there are refreshes, and no longer', () => {
  const rooms = new Rooms();
  took(rooms, 100);
  for (let step = 1; step < 32; step++) expect(took(rooms, 2)).toBe(102);
  expect(took(rooms, 2)).toBe(2);
});

it('lengths that come once do not add up', () => {
  const rooms = new Rooms();
  for (let length = 50; length < 150; length++) expect(took(rooms, length)).toBeLessThanOrEqual(2 * length);
});

it('of one length those of the last step are taken first', () => {
  const rooms = new Rooms();
  took(rooms, 3, 3);
  const room = rooms.open();
  const array = room.take(3);
  rooms.close(room);
  expect(rooms.open().take(3)).toBe(array);
});

it('what one room has of earlier steps no other one has', () => {
  const rooms = new Rooms();
  took(rooms, 4, 4);
  const [before, after] = [rooms.open(), rooms.open()];
  const own = after.take(4);
  rooms.close(after);
  expect(before.take(4)).not.toBe(own);
  expect([rooms.open().take(4), rooms.open().take(4)]).not.toContain(before.take(4));
});

it('a step that uses none leaves them, and dispose lets go of all', () => {
  const rooms = new Rooms();
  const room = rooms.open();
  const array = room.take(5);
  rooms.close(room);
  rooms.close(rooms.open());
  expect(rooms.bytes).toBe(20);
  rooms.dispose();
  expect(rooms.bytes).toBe(0);
  expect(rooms.open().take(5)).not.toBe(array);
});
