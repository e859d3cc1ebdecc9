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

it('what a step has not used is kept beside its own up to as many bytes, what was used last first', () => {
  const rooms = new Rooms();
  const took = (...lengths: number[]) => {
    const room = rooms.open();
    for (const length of lengths) room.take(length);
    rooms.close(room);
    return rooms.bytes / Float32Array.BYTES_PER_ELEMENT;
  };
  expect(took(6)).toBe(6);
  expect(took(10)).toBe(16);
  // that of 10 was used last, and that of 6 would be more
  expect(took(12)).toBe(22);
  expect(took(22)).toBe(44);
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
