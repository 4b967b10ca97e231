import { createHmac } from 'node:crypto';
import { textInput } from '@azora/db-core/input';
import { compare, getRounds, hash } from 'bcrypt';
import type { z } from 'zod';
import { passwordRefused } from '../errors';

/** NIST SP 800-63B, 5.1.1.2: at least 8 characters, at least 64 allowed, all of Unicode, no composition rules. */
const MIN_CHARACTERS = 8;
const MAX_CHARACTERS = 1_024;
/** bcrypt ignores all further bytes. */
const BCRYPT_BYTES = 72;
/** Not a secret. It makes a plain SHA-256 of the same password, leaked from another site, useless here. */
const LONG_PASSWORD = 'azora auth long password';

/** A new password in Normalization Form KC, so that every keyboard produces the same bytes (SP 800-63B, 5.1.1.2). */
export const newPasswordInput: z.ZodType<string> = textInput(2 * MAX_CHARACTERS)
  .transform((text) => text.normalize('NFKC'))
  .refine((text) => [...text].length >= MIN_CHARACTERS, `has fewer than ${MIN_CHARACTERS} characters`)
  .refine((text) => [...text].length <= MAX_CHARACTERS, `has more than ${MAX_CHARACTERS} characters`);

/**
 * Rejects a password that is common, that repeats a single character, or that equals one of the texts in `about`, such
 * as the owner's name.
 * @throws {SuiteError} `AUTH.PASSWORD_REFUSED`
 */
export function refuseGuessablePassword(password: string, about: readonly (string | null | undefined)[]): void {
  const lower = password.toLowerCase();
  if (COMMON_PASSWORDS.has(lower)) throw passwordRefused('is one of the most common passwords');
  if (/^(.)\1*$/su.test(lower)) throw passwordRefused('repeats a single character');
  const own = about.flatMap((text) => (text ? [text.toLowerCase(), text.toLowerCase().split('@')[0]] : []));
  if (own.includes(lower)) throw passwordRefused("is its owner's name or address");
}

/** The bcrypt hash of a password. */
export function hashPassword(password: string, cost: number): Promise<string> {
  return hash(bcryptInput(password), cost);
}

/**
 * Whether the password matches the hash. Without a hash the result is false, and the check takes as long as with a hash
 * of this cost.
 */
export async function isPasswordOf(passwordHash: string | null, password: string, cost: number): Promise<boolean> {
  const isRight = await compare(bcryptInput(password), passwordHash ?? hashOfNobody(cost));
  return isRight && passwordHash !== null;
}

/** Whether the hash has a lower cost than the current setting. */
export function isOutdated(passwordHash: string, cost: number): boolean {
  return getRounds(passwordHash) < cost;
}

/**
 * The input of bcrypt: the password itself or, when it is longer than bcrypt reads or contains NUL (where some bcrypt
 * implementations stop), a keyed SHA-256 of the whole password as 44 characters of base64.
 */
function bcryptInput(password: string): string {
  const normal = password.normalize('NFKC');
  if (Buffer.byteLength(normal) <= BCRYPT_BYTES && !normal.includes('\0')) return normal;
  return createHmac('sha256', LONG_PASSWORD).update(normal).digest('base64');
}

/** A hash that no known password matches. */
function hashOfNobody(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$${'AzoraAuthHashOfNobody.'}${'O'.repeat(31)}`;
}

/**
 * Passwords of at least eight characters that are at the top of public lists of leaked passwords, in lower case. The
 * minimum length rejects shorter ones.
 */
const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  `
    !@#$%^&* !@#$%^&*() !qaz2wsx !qaz@wsx 00000000 000000000 0000000000 01010101 01011980 01011990 01012000 01234567
    012345678 0123456789 09876543 0987654321 10203040 102030405060 11111111 111111111 1111111111 11112222 11223344
    1122334455 112233445566 11235813 12121212 123123123 123321123 1234!@#$ 12341234 12344321 1234512345 123454321
    12345678 123456780 123456789 1234567890 1234567890- 1234567890q 1234567891 12345678910 123456789a 123456789q
    12345678a 12345678q 12345679 123456798 1234567a 1234567q 123456aa 123456abc 123456qq 12345abc 12345qwert
    1234abcd 123567890 123654789 123abc123 123qweasd 123qweasdzxc 1314520520 147258369 1472583690 147852369
    147896325 159357258 159753159 19841984 19851985 19861986 19871987 19881988 19891989 19901990 19911991 19921992
    19931993 19941994 19951995 19961996 19971997 19981998 19991999 1a2b3c4d 1a2b3c4d5e 1q2w3e4r 1q2w3e4r5t
    1q2w3e4r5t6y 1qaz!qaz 1qaz2wsx 1qaz2wsx3edc 1qaz@wsx 1qazxsw2 20002000 20082008 20102010 20202020 20212021
    22222222 271828182 31415926 314159265 3141592654 33333333 44444444 5201314520 5201314a 55555555 66666666
    741852963 77777777 789456123 87654321 876543210 88888888 888888888 963852741 987654321 9876543210 99999999
    999999999 a1234567 a12345678 a123456789 a1b2c3d4 a1b2c3d4e5 a1s2d3f4 aa123456 aa12345678 aaaa1111 aaaaaaaa
    ab123456 abababab abc12345 abc123456 abc123abc abcabc123 abcd1234 abcd12345 abcd123456 abcdef12 abcdef123
    abcdefg1 abcdefg123 abcdefgh abcdefghi abcdefghij abdullah access123 access14 admin123 admin1234 admin12345
    admin888 admin@123 adminadmin administrator administrator1 aini1314 alejandra alejandro alexander alexander1
    alexandra allah123 allahuakbar amanda12 america1 american1 andrew12 andrew123 android1 angel123 angelina
    angels12 anthony1 anthony12 anything apple123 arsenal1 arsenal123 asdf1234 asdfasdf asdfghjk asdfghjkl asdfqwer
    ashley12 ashley123 australia australia1 autumn2020 autumn2021 autumn2022 autumn2023 autumn2024 autumn2025
    azerty123 azertyuiop banana12 banana123 barcelona barcelona1 baseball baseball1 baseball12 basketball
    basketball1 batman12 batman123 benjamin benjamin1 bismillah black123 blackberry blessed1 blue1234 blueblue
    bollywood boston12 brandon1 brandon12 brazil123 buster12 buster123 butterfly butterfly1 california canada123
    caonima1 capetown capetown1 caroline changeme changeme1 changeme123 charlie1 charlie12 charlie123 cheese12
    cheese123 chelsea1 chelsea123 chicago1 chocolate chocolate1 chocolate2 christian christian1 christmas
    christopher computer computer1 computer12 computer123 contrasena contraseña cookie12 cookie123
    correct-horse-battery-staple correcthorsebatterystaple corvette corvette1 counterstrike cowboys1 cupcake1
    dallas12 daniel12 daniel123 dearbook december december1 december12 default1 default123 diamond1 diamond123
    dolphin1 dolphins dolphins1 dragon12 dragon123 eagle123 eagles12 elephant elephant1 elizabeth elizabeth1
    england1 everything facebook facebook1 facebook123 falcon12 february fernanda fernando ferrari1 florida1
    football football! football1 football12 football123 forever1 forever21 fortnite fortnite1 france98 friday13
    gabriel1 gabriela germany1 ginger12 ginger123 gmail123 god12345 godisgood golden12 golden123 google12 google123
    green123 guest123 guest1234 harley12 harleydavidson heaven77 hello123 hello1234 hello12345 hellohello helloworld
    hockey12 hollywood hotmail1 houston1 hunter12 hunter123 iloveme1 iloveu12 iloveyou iloveyou! iloveyou1
    iloveyou12 iloveyou123 iloveyou2 iloveyou520 india123 instagram internet internet1 internet123 iphone12 isabella
    isabella1 january1 jennifer jennifer1 jessica1 jessica12 jesus123 jesus777 jesuschrist jesuslove jkjkjkjk
    johannesburg johannesburg1 jonathan jonathan1 jordan123 jordan23 juventus1 kawasaki kenya123 killer12 killer123
    lacrosse lagos123 lakers123 lakers24 letmein! letmein1 letmein12 letmein123 letmeinnow linkedin linkedin1
    linux123 lion1234 liverpool liverpool1 lkjhgfdsa login123 login1234 london12 london123 lovelove lovely12
    loveme123 loveyou1 maggie12 manchester manutd123 margaret master12 master123 mastermaster matthew1 matthew12
    mercedes mercedes1 mexico12 michael1 michael12 michael123 michelle michelle1 microsoft microsoft1 minecraft
    minecraft1 minecraft123 mnbvcxz1 mnbvcxzlkj mobilemail mohammed monday123 monitoring monkey12 monkey123
    motdepasse muhammad muhammed mustafa1 mustang1 mustang12 myspace1 naruto12 naruto123 newyork1 newyork12 nicholas
    nicholas1 nigeria1 nigeria123 nintendo nothing1 november november1 october1 orange12 orange123 p4ssw0rd p@55w0rd
    p@ssw0rd p@ssw0rd! p@ssw0rd1 p@ssw0rd12 p@ssw0rd123 p@ssword pa$$w0rd pa$$w0rd1 pa$$word pa55w0rd pa55word
    panther1 panthers paris123 pass1234 pass12345 pass123456 passpass passw0rd passw0rd1 passw0rd123 passwd123
    password password! password!1 password01 password1 password100 password11 password12 password123 password1234
    password12345 password2 password2020 password2021 password2022 password2023 password2024 password2025 password22
    password3 password69 password7 password99 passwort passwort1 patricia pepper12 pepper123 pikachu1 playstation
    playstation1 poiuytrewq pokemon1 pokemon12 pokemon123 porsche1 porsche911 princess princess1 princess12
    princess123 purple12 purple123 q1w2e3r4 q1w2e3r4t5 q1w2e3r4t5y6 qazwsx123 qazwsxedc qwe123qwe qweasdzxc
    qweqweqwe qwer1234 qwer12345 qwerasdf qwerqwer qwert123 qwert1234 qwert12345 qwerty!@# qwerty12 qwerty123
    qwerty1234 qwerty12345 qwerty123456 qwertyui qwertyuiop qwertz123 ranger12 realmadrid redred123 remember
    remember1 rewq4321 ricardo1 roberto1 root1234 rootroot russia123 samantha samantha1 samsung1 samsung123 secret12
    secret123 secret1234 senha123 september september1 server123 shadow12 shadow123 silver12 silver123 soccer12
    soccer123 softball something southafrica spiderman spiderman1 spring2020 spring2021 spring2022 spring2023
    spring2024 spring2025 starwars starwars1 starwars123 steelers steelers1 stephanie summer12 summer123 summer2020
    summer2021 summer2022 summer2023 summer2024 summer2025 sunshine sunshine1 sunshine123 superman superman1
    superman12 superman123 suzuki12 system32 test1234 test12345 tester123 testing1 testing123 testtest tiger123
    tigger12 tigger123 together toor1234 trewq123 trustno1 trustno1! twitter1 ubuntu123 user1234 user12345 useruser
    veronica victoria victoria1 volleyball wangyang warcraft warcraft1 wasd1234 welcome! welcome1 welcome12
    welcome123 welcome1234 welcome2020 welcome2021 welcome2022 welcome2023 welcome2024 welcome2025 whatever
    whatever1 windows1 windows10 windows98 windowsxp winter12 winter123 winter2020 winter2021 winter2022 winter2023
    winter2024 winter2025 woaini1314 woaini520 yahoo123 yamaha12 yamahar1 yankees1 yellow12 yellow123 youtube1
    youtube123 z1x2c3v4 zaq!2wsx zaq12wsx zaq1xsw2 zaq1zaq1 zxcv1234 zxcvbnm, zxcvbnm1 zxcvbnm123 zxczxczxc
  `
    .trim()
    .split(/\s+/),
);
