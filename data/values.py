"""The values of the slots of grammar.py, in both languages.

A line is `English = Chinese`, or one text for both; " | " stands between forms of one value.
Words before " / " are a preposition or an article that stays outside the slot. # is a digit and @ a
letter, the same ones in both languages.
"""

import calendar
from datetime import date, timedelta
from typing import NamedTuple


class Form(NamedTuple):
    """One way to say a value: the words before it, itself, and its Chinese."""

    lead: str
    english: str
    chinese: str


Value = tuple[Form, ...]


def read(text: str) -> list[Value]:
    """Values from lines, a line each."""
    values = []
    for line in text.strip().splitlines():
        english, _, chinese = line.strip().partition(" = ")
        lead, _, english = english.rpartition(" / ")
        forms = english.split(" | ")
        values.append(tuple(Form(lead, form, chinese or form) for form in forms))
    return values


# Where a slot takes its values from. Where there are several lists one is drawn for the whole
# sentence, so that "from Friday to Saturday" does not become "from Friday to the 3rd".
DATES = "calendar calendar calendar calendar weekday weekday week relative monthday holiday"
TIMES = "clock clock part"
SLOTS = {
    "From": "city",
    "To": "city",
    "Via": "hub",
    "City": "place",
    "Date": DATES,
    "ReturnDate": DATES,
    "NewDate": DATES,
    "Time": TIMES,
    "ReturnTime": TIMES,
    "NewTime": "clock",
    "ArrivalTime": "clock",
    "Class": "class",
    "Airline": "airline",
    "TrainNumber": "train",
    "FlightNumber": "flight",
    "Order": "order",
    "Passengers": "people",
    "Price": "price",
    "Room": "room",
    "Nights": "nights",
    "Seat": "seat",
    "Baggage": "baggage",
    "Weight": "weight",
}

CHINESE_DIGITS = "零一二三四五六七八九"
WEEKDAYS = tuple(zip(calendar.day_name, "一二三四五六日", strict=True))
HOURS = "one two three four five six seven eight nine ten eleven twelve"
ORDINALS = """
    first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
    fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
"""


def chinese_number(number: int) -> str:
    """A number below 100 in Chinese, as in a time: 2 is 两."""
    if number == 2:
        return "两"
    tens, units = divmod(number, 10)
    head = "" if not tens else "十" if tens == 1 else CHINESE_DIGITS[tens] + "十"
    return head + (CHINESE_DIGITS[units] if units or not tens else "")


def nth(day: int) -> str:
    suffix = "th" if 11 <= day <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{suffix}"


def calendar_day(when: date) -> Value:
    month, day = when.month, when.day
    name = calendar.month_name[month]
    english = [
        f"{name} {nth(day)}",
        f"{name} {nth(day)}",
        f"{name} {day}",
        f"{day} {name}",
        f"the {nth(day)} of {name}",
        f"{name[:3]} {nth(day)}",
        f"{name[:3]} {day}",
        f"{month}/{day}",
    ]
    english += [f"{name} {word}" for word in ORDINALS.split()[day - 1 : day]]
    return tuple(Form("on", form, f"{month}月{day}日") for form in english)


def clock_time(hour: int, minute: int) -> Value:
    """A time of day between 6:00 and 22:45, minute one of 0, 15, 30, 45."""
    twelve, half = (hour - 1) % 12 + 1, "am" if hour < 12 else "pm"
    period = next(
        name
        for first, name in ((18, "晚上"), (13, "下午"), (12, "中午"), (9, "上午"), (0, "早上"))
        if hour >= first
    )
    minutes = {0: "", 15: "一刻", 30: "半", 45: "四十五"}[minute]
    full = f"{period}{chinese_number(twelve)}点{minutes}"
    bare = f"{chinese_number(twelve)}点{minutes}"
    word = HOURS.split()[twelve - 1]
    forms = [(f"{hour}:{minute:02}", f"{hour}:{minute:02}")]
    if minute:
        forms += [(f"{twelve}:{minute:02} {half}", full), (f"{twelve}:{minute:02}{half}", full)]
    else:
        forms += [(f"{twelve} {half}", full), (f"{twelve}{half}", full)]
        forms.append((f"{word} o'clock", bare))
    if minute == 30:
        forms.append((f"half past {word}", bare))
    if minute == 15:
        forms.append((f"quarter past {word}", bare))
    return tuple(Form("at", english, chinese) for english, chinese in forms)


YEAR = [date(2023, 1, 1) + timedelta(days) for days in range(365)]

# These lists are in the order of time, so that {Date} comes before {ReturnDate} or {NewDate}; in
# the cyclic ones the first follows the last again.
CYCLIC = ("calendar", "monthday", "weekday", "holiday", "clock")
ORDERED = (*CYCLIC, "week", "relative")

VALUES = {
    "calendar": [calendar_day(day) for day in YEAR if day.weekday()],
    "monthday": [(Form("on", f"the {nth(day)}", f"{day}号"),) for day in range(1, 29)],
    "weekday": [(Form("on", day, f"周{chinese}"),) for day, chinese in WEEKDAYS],
    "week": [
        (Form("", f"{which} {day}", f"{chinese}{number}"),)
        for which, chinese in (("this", "这周"), ("next", "下周"))
        for day, number in WEEKDAYS
    ],
    "clock": [clock_time(hour, minute) for hour in range(6, 23) for minute in (0, 15, 30, 45)],
    "relative": read("""
        today = 今天
        tomorrow = 明天
        the day after tomorrow = 后天
        this weekend = 这个周末
        next weekend = 下个周末
        next month = 下个月
    """),
    "past": read("""
        last Monday = 上周一
        last Thursday = 上周四
        last Friday = 上周五
        last Sunday = 上周日
        last week = 上周
        the day before yesterday = 前天
        yesterday = 昨天
        this morning = 今天早上
    """),
    "holiday": read("""
        on / New Year's Day = 元旦
        at / the Spring Festival = 春节
        on / Labour Day = 劳动节
        at / the Mid-Autumn Festival = 中秋节
        on / National Day = 国庆节
        on / Christmas Day = 圣诞节
    """),
    "part": read("""
        in the / morning = 上午
        at / noon = 中午
        in the / afternoon = 下午
        in the / evening = 晚上
    """),
    "city": read("""
        Beijing = 北京
        Shanghai = 上海
        Guangzhou = 广州
        Shenzhen = 深圳
        Changsha = 长沙
        Wuhan = 武汉
        Xi'an = 西安
        Chengdu = 成都
        Chongqing = 重庆
        Hangzhou = 杭州
        Nanjing = 南京
        Tianjin = 天津
        Qingdao = 青岛
        Dalian = 大连
        Shenyang = 沈阳
        Harbin = 哈尔滨
        Kunming = 昆明
        Guiyang = 贵阳
        Guilin = 桂林
        Nanning = 南宁
        Xiamen = 厦门
        Nanchang = 南昌
        Hefei = 合肥
        Zhengzhou = 郑州
        Taiyuan = 太原
        Lanzhou = 兰州
        Suzhou = 苏州
        Ningbo = 宁波
        Sanya = 三亚
        Hong Kong = 香港
        Urumqi = 乌鲁木齐
        Lhasa = 拉萨
    """),
    "city.rail": read("""
        Beijing West = 北京西站
        Shanghai Hongqiao = 上海虹桥
        Guangzhou South = 广州南站
        Xi'an North = 西安北站
        Nanjing South = 南京南站
        Hangzhou East = 杭州东站
    """),
    "city.air": read("""
        Tokyo = 东京
        Osaka = 大阪
        Seoul = 首尔
        Singapore = 新加坡
        Bangkok = 曼谷
        Kuala Lumpur = 吉隆坡
        London = 伦敦
        Paris = 巴黎
        New York = 纽约
        Sydney = 悉尼
    """),
    "class.rail": read("""
        second class = 二等座
        first class = 一等座
        business class = 商务座
        hard seat = 硬座
        hard sleeper = 硬卧
        soft sleeper = 软卧
    """),
    "class.air": read("""
        economy | economy class = 经济舱
        premium economy = 超级经济舱
        business class = 商务舱
        first class = 头等舱
    """),
    "airline": read("""
        Air China = 国航
        China Eastern = 东航
        China Southern = 南航
        Hainan Airlines = 海航
        Sichuan Airlines = 川航
        Xiamen Airlines = 厦航
        Shenzhen Airlines = 深航
        Shandong Airlines = 山航
    """),
    "train": read("""
        G###
        G####
        D###
        D####
        C####
        K###
        Z##
        T##
    """),
    "flight": read("""
        CA####
        MU####
        CZ####
        HU####
        MF####
        3U####
    """),
    "order": read("""
        @@####
        @@@###
        #####
    """),
    "price": read("""
        #00 yuan = #00块
        #50 yuan = #50块
        1#00 yuan = 1#00块
        2#00 yuan = 2#00块
        #00 RMB = #00块
    """),
    "count": read("""
        two = 两张
        three = 三张
        four = 四张
        five = 五张
        six = 六张
    """),
    "people": read("""
        two people = 两个人
        three people = 三个人
        four people = 四个人
        two adults = 两个大人
        two adults and a child = 两个大人一个小孩
        two adults and two children = 两个大人两个小孩
        a family of four = 一家四口
        five colleagues = 五个同事
        three students = 三个学生
        six friends = 六个朋友
    """),
    "room": read("""
        single room = 单人间
        double room = 双人间
        twin room = 双床房
        family room = 家庭房
        quiet room = 安静的房间
        non-smoking room = 无烟房
    """),
    "nights": read("""
        one night = 一晚
        two nights = 两晚
        three nights = 三晚
        four nights = 四晚
        five nights = 五晚
        a week = 一个星期
        ten days = 十天
    """),
    "seat": read("""
        window = 靠窗
        aisle = 靠过道
        middle = 中间
        front row = 前排
        back row = 后排
    """),
    "berth": read("""
        a / lower berth = 下铺
        a / middle berth = 中铺
        an / upper berth = 上铺
    """),
    "baggage": read("""
        a / bicycle = 自行车
        a / folding bike = 折叠自行车
        my / guitar = 吉他
        a / cello = 大提琴
        a / pushchair = 婴儿车
        a / wheelchair = 轮椅
        my / skis = 滑雪板
        a / surfboard = 冲浪板
        my / cat = 猫
        a / small dog = 小狗
        two bottles of wine = 两瓶葡萄酒
        a / birthday cake = 生日蛋糕
        fresh fruit = 新鲜水果
    """),
    "weight": read("""
        1# kilos = 1#公斤
        2# kilos = 2#公斤
        3# kilos = 3#公斤
        1# kg = 1#公斤
        2# kg = 2#公斤
        30 kg = 30公斤
    """),
}

# Values of the same lists that occur in the test split only; of the calendar, one day in seven.
HELD_OUT = {
    "calendar": [calendar_day(day) for day in YEAR if not day.weekday()],
    "holiday": read("""
        on / Valentine's Day = 情人节
        at / the Dragon Boat Festival = 端午节
        on / Christmas Eve = 平安夜
    """),
    "city": read("""
        Jinan = 济南
        Fuzhou = 福州
        Haikou = 海口
        Changchun = 长春
        Shijiazhuang = 石家庄
        Hohhot = 呼和浩特
        Yinchuan = 银川
        Wuxi = 无锡
    """),
    "city.air": read("""
        Berlin = 柏林
        Dubai = 迪拜
        Los Angeles = 洛杉矶
    """),
}

# A place to stay in is a city of any world, but no station; people change in a city at home.
for table in (VALUES, HELD_OUT):
    table["place"] = table["city"] + table["city.air"]
    table["hub"] = table["city"]

# A slip of the tongue happens with values of these lists, and is put right with these words.
REPAIRED = ("city", "place", "hub", "calendar", "weekday", "week", "clock")
REPAIRS = (
    ", no, wait,",
    ", sorry,",
    ", I mean",
    ", no,",
    "no wait",
    "uh no",
    "sorry I mean",
    "or rather",
)
