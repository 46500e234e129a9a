#!/usr/bin/env python3
"""Makes the sample project's data: sentences about appointments and the JSON object each one stands for.

    make_appointments.py [FOLDER]    writes appointments.jsonl (600 rows) and appointments_heldout.jsonl (100 rows)

The same bytes every time. Every value of the answer stands in the sentence or follows from it by a simple rule: times
become HH:MM of the 24-hour clock, dates "14 March", weekdays lose "next" and "this". A held-out row never repeats a pair
of title and person of the training rows, a third of its people and titles are met nowhere else, and no sentence stands
in both files. All sentences, names and places were made up for this file.
"""
import json
import os
import random
import sys

SYSTEM = "Write the appointment as JSON."

PEOPLE = """Ana Ben Carla David Elif Farid Greta Hugo Ines Jonas Kira Leo Marta Nils Olga Pedro Rosa Samir Tara Umut Vera
Wim Yara Zoe Amir Bella Cem Dora Emil Fiona Gita Henrik Iris Jamal Lena Mateo Nora Oscar Paula Ravi Sofia Tom Wanda Dr~Okafor
Dr~Lindqvist Dr~Moreau Mr~Tanaka Mrs~Novak Ms~Haddad Mr~Silva Mrs~Berger Ms~Ito""".split()
TITLES = """haircut~ piano~lesson~ budget~review~ dental~check-up~ job~interview~ coffee~ yoga~class~ project~kick-off~ flat~viewing~
parent~evening~ eye~test~ sales~call~ chess~game~ team~lunch~ car~inspection~ tax~meeting~ swimming~lesson~ photo~session~
book~club~ blood~test~ design~review~ guitar~lesson~ board~meeting~ language~exchange~ garden~visit~ tennis~match~ planning~talk~
choir~practice~ thesis~meeting~ bike~repair~ first~aid~course~ wedding~rehearsal~ vaccination~ contract~signing~ cooking~class~
strategy~workshop~ drum~lesson~ house~tour~""".split()
PLACES = [("at", "the Corner Café"), ("in", "Room 12"), ("at", "the town library"), ("in", "the green office"), ("at", "Station Square"),
          ("at", "the north clinic"), ("in", "Studio 3"), ("at", "the harbour hall"), ("at", "14 Mill Lane"), ("in", "the main building"),
          ("at", "the old bakery"), ("in", "meeting room B"), ("at", "Riverside Park"), ("at", "the sports centre"), ("in", "the blue lab"),
          ("at", "7 King Street"), ("at", "the Lemon Tree"), ("in", "Hall 5"), ("at", "the city museum"), ("in", "the reading room"),
          ("at", "the garage on Elm Road"), ("at", "the music school"), ("in", "the attic"), ("at", "Café Luna"), ("at", "the west gate"),
          ("in", "Room 204"), ("at", "22 Park Avenue"), ("at", "the community kitchen")]
ONLY_HELD_OUT_PEOPLE = "Anton Birgit Chloe Dmitri Esra Felix Dr~Abara Mrs~Keller Hana Ivo Joana Mr~Petrov".split()
ONLY_HELD_OUT_TITLES = "violin~lesson~ passport~photo~ staff~meeting~ pottery~class~ hearing~test~ door~repair~ film~night~ boxing~lesson~".split()
ONLY_HELD_OUT_PLACES = [("at", "the south clinic"), ("in", "Room 31"), ("at", "9 Church Street"), ("at", "the tea house"), ("in", "Studio 8")]

WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
HOURS = "twelve one two three four five six seven eight nine ten eleven".split()

# {a} title with article, {title}, {who}, {day} with its preposition, {bare} day without, {time} with "at", {clock} without,
# {place} with its preposition, {spot} without, {long} a length of time that is not asked for.
SENTENCES = [
    "Book {a} with {who} {day} {time} {place}.",
    "Please put {a} with {who} {place} in my calendar, {bare} {time}.",
    "I have {a} with {who} {day} {time} {place}.",
    "{who} wants to meet for {a} {day} {time} {place}.",
    "{cap_a} with {who}, {bare}, {clock}, {spot}.",
    "Can you add {a} {day}? It is {time} {place} with {who}.",
    "Remind me of the {title} with {who} {day} {time}, {place}.",
    "{cap_day} {time} I will see {who} {place} for {a}.",
    "We agreed on {a} {place} {day}: {who} comes {time}.",
    "Let's do the {title} {day} {time}. {who} will be {place}.",
    "{who} has asked for {a} {place}, {bare} {time} would suit.",
    "New date for the {title}: {bare}, {clock}, {spot}, with {who}.",
    "Don't let me forget: {title} with {who}, {bare} {time}, {place}.",
    "My {title} with {who} is {day} {time} {place}.",
    "The {title} takes place {day} {time} {place}, and {who} joins.",
    "Plan {a} with {who} for {bare} {time} {place}, {long}.",
    "{cap_time} {day} there is {a} {place} with {who}.",
    "Meet {who} {place} {day} {time} for {a}, {long}.",
    "Set up {a} {place}. {who} is free {day} {time}.",
    "{who}, {title}, {bare} {time}, {place}: please note it.",
    "Could we fix the {title} with {who} for {bare}? {cap_time} {place} is fine.",
    "I promised {who} {a} {place} {day} {time}.",
    "See you {day} {time} {place} for the {title}! Yours, {who}",
    "Hi, {who} here. {cap_a} {day} {time} {place}?",
    "{cap_place} {day} {time}: {title} with {who}, {long}.",
    "Schedule the {title} for {bare} {time}; {who} waits {place}.",
]
LENGTHS = ["for half an hour", "for an hour", "for 45 minutes", "for two hours", "for 90 minutes", "for a short while"]


class Draw:
    """Choices from random() alone, whose numbers Python promises to keep."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def below(self, n):
        return int(self.random.random() * n)

    def of(self, values):
        return values[self.below(len(values))]


def plain(word):
    return word.rstrip("~").replace("~", " ")


def with_article(title):
    return ("an " if title[0] in "aeiou" else "a ") + title


def first_upper(text):
    return text[0].upper() + text[1:]


def draw_day(draw):
    """(with preposition, without, value)"""
    kind = draw.below(10)
    if kind < 6:
        name = draw.of(WEEKDAYS)
        return draw.of([("on " + name, name), ("next " + name, "next " + name), ("this " + name, "this " + name), ("on " + name, name)]) + (name,)
    if kind < 7:
        name = draw.of(["today", "tomorrow"])
        return name, name, name
    day, month = 1 + draw.below(28), draw.of(MONTHS)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
    bare = draw.of([f"{day} {month}", f"{month} {day}", f"the {day}{ending} of {month}"])
    return "on " + bare, bare, f"{day} {month}"


def draw_time(draw):
    """(clock as said, value): mornings 8 to 11, noon, afternoons and evenings 1 to 8."""
    hour = draw.of([8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20])
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    half_day = "am" if hour < 12 else "pm"
    kind = draw.below(10)
    if kind < 3:
        minute = 5 * draw.below(12)
        return f"{hour}:{minute:02}", f"{hour:02}:{minute:02}"
    if kind < 5:
        return f"{(hour - 1) % 12 + 1} {half_day}", f"{hour:02}:00"
    if kind < 6:
        minute = draw.of([10, 15, 20, 30, 40, 45, 50])
        return f"{(hour - 1) % 12 + 1}:{minute:02} {half_day}", f"{hour:02}:{minute:02}"
    if kind < 7:
        return f"{HOURS[hour % 12]} {part}", f"{hour:02}:00"
    if kind < 9:
        words, minute = draw.of([("half past", 30), ("half past", 30), ("quarter past", 15)])
        return f"{words} {HOURS[hour % 12]} {part}", f"{hour:02}:{minute:02}"
    return draw.of([("noon", "12:00"), (f"{hour} o'clock", f"{hour:02}:00")])


def make_row(draw, title, who, place):
    day, bare, day_value = draw_day(draw)
    clock, time_value = draw_time(draw)
    preposition, spot = place
    words = {"title": title, "a": with_article(title), "who": who, "day": day, "bare": bare, "clock": clock, "time": "at " + clock,
             "place": f"{preposition} {spot}", "spot": spot, "long": draw.of(LENGTHS)}
    words.update({"cap_" + k: first_upper(words[k]) for k in ("a", "day", "time", "place")})
    sentence = draw.of(SENTENCES).format(**words)
    place_value = spot[4:] if spot.startswith("the ") else spot
    answer = {"title": title, "who": who, "day": day_value, "time": time_value, "place": place_value}
    return sentence, {"messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": first_upper(sentence)},
                                   {"role": "assistant", "content": json.dumps(answer, ensure_ascii=False)}]}


def make_rows(draw, count, people, titles, places, taken_pairs, taken_sentences):
    rows, pairs = [], set()
    while len(rows) < count:
        who, title = plain(draw.of(people)), plain(draw.of(titles))
        sentence, row = make_row(draw, title, who, draw.of(places))
        if (title, who) in taken_pairs or sentence in taken_sentences:
            continue
        taken_sentences.add(sentence)
        pairs.add((title, who))
        rows.append(row)
    return rows, pairs


def write(path, rows):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        for row in rows:
            f.write(json.dumps(row, ensure_ascii=False) + "\n")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__))
    sentences = set()
    train, pairs = make_rows(Draw(1), 600, PEOPLE, TITLES, PLACES, set(), sentences)
    # A third of the held-out people, titles and places are new.
    held_out, _ = make_rows(Draw(2), 100, PEOPLE[:24] + ONLY_HELD_OUT_PEOPLE, TITLES[:16] + ONLY_HELD_OUT_TITLES,
                            PLACES[:10] + ONLY_HELD_OUT_PLACES, pairs, sentences)
    write(os.path.join(folder, "appointments.jsonl"), train)
    write(os.path.join(folder, "appointments_heldout.jsonl"), held_out)


if __name__ == "__main__":
    main()
