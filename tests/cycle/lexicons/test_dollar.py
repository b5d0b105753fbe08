"""A misspelt key or type of syncd's own file form is held, and publishes no name of a file."""

from __future__ import annotations

import pytest

from syncd.model import Choice, Decision, RecordPath
from tests.rigs.device import Device, World
from tests.rigs.places import config

ONE = RecordPath("com.example.note/one")
TWO = RecordPath("com.example.note/two")
LINK = '{"$link": "bafkreibme22gw2h7y2h7tg2fhqotaqjucnbc24deqo72b6mkl2egezxhvy"}'
ODD = (
    ('{"$file": "a.jpg"}', "$file"),
    ('{"$file": "a.jpg", "alt": "A hill"}', "$file"),
    ('{"$file": ["a.jpg"]}', "$file"),
    ('{"$type": "Blob", "$file": "a.jpg"}', "$file"),
    ('{"$type": "image", "$file": "a.jpg"}', "$file"),
    ('{"$type": "com.example.note#pic", "$file": "a.jpg"}', "$file"),
    ('{"$File": "a.jpg"}', "$file"),
    ('{"$type": "com.example.x", "$flie": "a.jpg"}', "$file"),
    ('{"$files": ["a.jpg"]}', "$file"),
    (r'{"\u0024file": "a.jpg"}', "$file"),
    ('{"$Link": "bafk"}', "$link"),
    ('{"$byte": "aGk"}', "$bytes"),
    ('{"$Type": "blob"}', "$type"),
    (f'{{"$type": "Blob", "ref": {LINK}, "mimeType": "image/png", "size": 3}}', "blob"),
    (f'{{"$type": "blop", "ref": {LINK}, "mimeType": "image/png", "size": 3}}', "blob"),
)
MEANT = (
    '{"$type": "com.example.note#thing", "file": "a.jpg"}',
    '{"$ref": "#/defs/a", "$id": "x", "$defs": {}, "$schema": "x", "$comment": ""}',
    LINK,
    '{"$bytes": "aGk"}',
    '"say $file or {\\"$file\\": 1} in a text"',
    '{"$type": "bob", "name": "Bob"}',
    '{"file": "a.jpg"}',
)


def save(device: Device, path: RecordPath, value: str, text: str = "hi") -> None:
    device.save_text(path, f'{{\n  "text": "{text}",\n  "pic": {value}\n}}\n')


async def held(device: Device, path: RecordPath) -> tuple[int | None, int | None, str]:
    """The one problem of a cycle that sent nothing of `path`: its place, and its reason."""
    report = await device.sync()
    assert path not in report.pushed
    (problem,) = report.problems
    assert problem.path == path
    assert '"$type": "blob", "$file"' in problem.hint
    return problem.line, problem.column, problem.reason


@pytest.mark.parametrize(("value", "meant"), ODD)
async def test_a_misspelt_key_is_a_problem_at_its_line_until_it_is_fixed(
    world: World, value: str, meant: str
) -> None:
    laptop = world.device()
    save(laptop, ONE, value)
    laptop.save(TWO, text="good")
    line, column, reason = await held(laptop, ONE)
    assert (line, column is not None and column > len('  "pic": ')) == (3, True)
    assert f'"{meant}"' in reason
    assert world.records().keys() == {TWO}
    save(laptop, ONE, '"fixed"')
    assert (await laptop.sync()).pushed == (ONE,)


@pytest.mark.parametrize("value", MEANT)
async def test_keys_that_a_person_may_mean_are_sent(world: World, value: str) -> None:
    laptop = world.device()
    save(laptop, ONE, value)
    report = await laptop.sync()
    assert (report.pushed, report.problems) == ((ONE,), ())


async def test_a_misspelt_type_of_the_record_is_no_key_of_it(world: World) -> None:
    laptop = world.device()
    laptop.save_text(ONE, '{"$Type": "com.example.note", "text": "hi"}')
    assert (await held(laptop, ONE))[:2] == (1, 11)


async def test_no_setting_publishes_the_name_of_a_file(world: World) -> None:
    laptop = world.device(config=config(world, lexicons="off", validate=False))
    save(laptop, ONE, '{"$file": "a.jpg"}')
    await held(laptop, ONE)


async def test_the_front_matter_of_a_text_is_held_too(world: World) -> None:
    laptop = world.device(config=config(world, markdown=(("com.example.note", (("content",),)),)))
    laptop.save_text(ONE, "---\ntitle: hi\ncover: {$file: a.jpg}\n---\n\nbody\n")
    line, _, reason = await held(laptop, ONE)
    assert (line, "$file" in reason) == (3, True)


async def test_a_record_of_the_repo_with_such_a_map_can_be_read_edited_and_renamed(
    world: World,
) -> None:
    odd = {"$file": "a.jpg"}
    await world.write(ONE, text="theirs", pic=odd)
    laptop = world.device()
    await laptop.sync()
    assert laptop.read(ONE)["pic"] == odd
    laptop.save(ONE, text="edited", more=[odd])
    assert (await laptop.sync()).pushed == (ONE,)
    laptop.file(ONE).rename(laptop.file(TWO))
    report = await laptop.sync()
    assert (sorted(report.pushed), report.problems) == ([ONE, TWO], ())
    laptop.save(TWO, text="edited", more=[odd, {"$file": "b.jpg"}])
    assert (await held(laptop, TWO))[2]


async def test_a_conflict_that_the_folder_wins_is_held_as_any_edit(world: World) -> None:
    await world.write(ONE, text="hi")
    laptop = world.device(config=config(world, conflicts_local=("*",)))
    await laptop.sync()
    await world.write(ONE, text="theirs")
    save(laptop, ONE, '{"$file": "a.jpg"}')
    await held(laptop, ONE)


async def test_a_version_that_a_person_chose_is_held_as_any_edit(world: World) -> None:
    await world.write(ONE, text="hi")
    laptop = world.device()
    await laptop.sync()
    remote = await world.write(ONE, text="theirs")
    save(laptop, ONE, '{"$file": "a.jpg"}')
    (conflict,) = (await laptop.sync()).conflicts
    laptop.mirror.state.decide([Decision(ONE, Choice.LOCAL, conflict.local, remote)])
    await held(laptop, ONE)
